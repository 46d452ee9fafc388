import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { parseConfig } from '../../io/parse-config';
import { dense, image } from '../../media/pixels';
import { COLOURS, type PixelFormat, toUnit } from '../pixel-format';

const tokenImageConfig = z.object({
  patch: count(MOST.patch),
  grid: count(MOST.grid),
  channels_per_token: count(MOST.channels),
});

/** FLUX in pixel space: a token is a patch of pixels in reading order, colour last. */
export function fluxPixels(json: unknown): PixelFormat {
  const { patch, grid, channels_per_token: channels } = parseConfig(tokenImageConfig, json, 'pipeline.json');
  const [tokens, size] = [grid * grid, grid * patch];
  const imgIds = Array.from({ length: tokens }, (_, n) => [0, Math.floor(n / grid), n % grid]);
  /** Where the first colour of a pixel lies in a latent. */
  const place = (x: number, y: number): number =>
    (Math.floor(y / patch) * grid + Math.floor(x / patch)) * channels + ((y % patch) * patch + (x % patch)) * COLOURS;
  return {
    kind: 'image',
    latentShape: [tokens, channels],
    channelAxis: 2,
    tokens,
    size: { height: size, width: size, frames: 1 },
    condition: (encoderHiddenStates, pooledProjections) => ({ encoderHiddenStates, pooledProjections, imgIds }),
    decode(latent) {
      const pixels = new Float32Array(size * size * COLOURS);
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const at = place(x, y);
          for (let c = 0; c < COLOURS; c++) pixels[(y * size + x) * COLOURS + c] = toUnit(latent[at + c] as number);
        }
      }
      return image(pixels, size, size);
    },
    encode(picture) {
      const pixels = dense(picture);
      const latent = new Float32Array(tokens * channels);
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const at = place(x, y);
          for (let c = 0; c < COLOURS; c++) latent[at + c] = 2 * (pixels[(y * size + x) * COLOURS + c] as number) - 1;
        }
      }
      return latent;
    },
  };
}
