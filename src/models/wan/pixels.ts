import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { parseConfig } from '../../io/parse-config';
import { clip } from '../../media/pixels';
import { COLOURS, type PixelFormat, toUnit } from '../pixel-format';

const MS_PER_SECOND = 1000;

const pixelClipConfig = z.object({
  latent_shape: z.tuple([z.literal(COLOURS), count(MOST.grid), count(MOST.grid), count(MOST.grid)]),
  video_tokens: count(MOST.tokens),
  frame_duration_ms: z.number().positive(),
});

/** Wan in pixel space: the latent is the clip itself, `[colour, frame, row, column]`. */
export function wanPixels(json: unknown): PixelFormat {
  const config = parseConfig(pixelClipConfig, json, 'pipeline.json');
  const [, frames, height, width] = config.latent_shape;
  const plane = height * width;
  return {
    kind: 'clip',
    fps: MS_PER_SECOND / config.frame_duration_ms,
    latentShape: config.latent_shape,
    channelAxis: 1,
    tokens: config.video_tokens,
    size: { frames, height, width },
    condition: encoderHiddenStates => ({ encoderHiddenStates }),
    decode(latent) {
      const pixels = new Float32Array(latent.length);
      for (let f = 0; f < frames; f++) {
        for (let i = 0; i < plane; i++) {
          for (let c = 0; c < COLOURS; c++) {
            pixels[(f * plane + i) * COLOURS + c] = toUnit(latent[(c * frames + f) * plane + i] as number);
          }
        }
      }
      return clip(pixels, frames, height, width);
    },
  };
}
