import { ShapeError } from '../errors';
import { type Image, imageSize } from '../media/pixels';
import { assertSameShape } from './shapes';
import { channels } from './ssim';
import { meanSimilarity } from './ssim-map';
import { mean } from './statistics';
import { type Plane, WINDOW } from './window';

/**
 * Structural similarity as torchmetrics computes it by default: the windows of `ssim`, but the image is mirrored
 * outwards by 5 pixels first, so that every pixel has one. On small images the two differ visibly.
 *
 * Source: torchmetrics 1.9, `structural_similarity_index_measure(data_range=1.0)`.
 */
export function ssimTorchmetrics(a: Image, b: Image): number {
  assertSameShape(a, b);
  const { height, width } = imageSize(a);
  const border = (WINDOW.length - 1) / 2;
  if (Math.min(height, width) <= border) {
    throw new ShapeError(`SSIM by torchmetrics needs at least 6×6 pixels; these pictures are ${width}×${height}.`);
  }
  const [left, right] = [a, b].map(image => channels(image).map(plane => mirrored(plane, border)));
  const similarity = (plane: Plane, c: number) => meanSimilarity(plane, right![c]!, { clampVariance: true });
  return mean(left!.map(similarity));
}

/** `plane` with its inside mirrored at each edge; the edge itself is not repeated. */
function mirrored({ values, height, width }: Plane, border: number): Plane {
  const reflect = (index: number, size: number) => size - 1 - Math.abs(size - 1 - Math.abs(index));
  const [newHeight, newWidth] = [height + 2 * border, width + 2 * border];
  const padded = new Float64Array(newHeight * newWidth);
  for (let y = 0; y < newHeight; y++) {
    const row = reflect(y - border, height) * width;
    for (let x = 0; x < newWidth; x++) padded[y * newWidth + x] = values[row + reflect(x - border, width)]!;
  }
  return { values: padded, height: newHeight, width: newWidth };
}
