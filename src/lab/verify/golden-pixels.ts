import { type Clip, type Image, image, joinFrames } from '../../media/pixels';
import type { GoldenTensor } from './golden-case';

/** The images of a golden `[N, 3, H, W]` tensor; the references keep channels first, ertacache last. */
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

/** The clips of a golden `[V, T, 3, H, W]` tensor. */
export function goldenClips({ shape, data }: GoldenTensor): Clip[] {
  const [clips, length, ...frame] = shape as [number, number, ...number[]];
  const images = goldenImages({ shape: [clips * length, ...frame], data });
  return Array.from({ length: clips }, (_, v) => joinFrames(images.slice(v * length, (v + 1) * length)));
}
