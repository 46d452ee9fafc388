import { type Clip, clip, type Image, image } from '../../src/media/pixels';
import type { GoldenTensor } from '../support/golden';

/** The images of a golden `[N, 3, H, W]` tensor, channels last. */
export function goldenImages({ shape, data }: GoldenTensor): Image[] {
  const [count, , height, width] = shape as [number, number, number, number];
  const plane = height * width;
  return Array.from({ length: count }, (_, n) => {
    const pixels = new Float32Array(plane * 3);
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < plane; i++) pixels[3 * i + c] = data[(3 * n + c) * plane + i]!;
    }
    return image(pixels, height, width);
  });
}

/** The clips of a golden `[V, T, 3, H, W]` tensor, channels last. */
export function goldenClips({ shape, data }: GoldenTensor): Clip[] {
  const [clips, length, , height, width] = shape as [number, number, number, number, number];
  const frames = goldenImages({ shape: [clips * length, 3, height, width], data });
  return Array.from({ length: clips }, (_, v) => {
    const values = new Float32Array(length * height * width * 3);
    for (let t = 0; t < length; t++) values.set(frames[v * length + t]!.data, t * height * width * 3);
    return clip(values, length, height, width);
  });
}
