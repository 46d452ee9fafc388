import { ShapeError } from '../errors';
import { dense, type Image, imageSize } from '../media/pixels';
import { assertSameShape } from './shapes';
import { meanSimilarity } from './ssim-map';
import { mean } from './statistics';
import { type Plane, WINDOW } from './window';

/**
 * Structural similarity of two images with pixels in [0, 1]: 11×11 Gaussian window (σ = 1.5), only windows that lie
 * wholly inside the image, each colour channel by itself, then their mean; in double precision.
 *
 * Source: TeaCache's evaluation, `common_metrics/calculate_ssim.py`.
 * @param a a picture `[H, W, 3]` of at least 11×11 pixels
 * @param b another of the same shape
 * @returns 1 for equal pictures, less for others
 * @throws ShapeError when the shapes differ, or the pictures are too small
 */
export function ssim(a: Image, b: Image): number {
  assertSameShape(a, b);
  const { height, width } = imageSize(a);
  if (height < WINDOW.length || width < WINDOW.length) {
    throw new ShapeError(`SSIM needs pictures of at least 11×11 pixels; these are ${width}×${height}.`, {
      hint: "torchmetrics' form of SSIM pads its pictures and takes those from 6×6 on.",
    });
  }
  const [left, right] = [channels(a), channels(b)];
  return mean(left.map((plane, c) => meanSimilarity(plane, right[c]!)));
}

/** The colour channels of an image. */
export function channels(image: Image): Plane[] {
  const { height, width } = imageSize(image);
  const values = dense(image);
  return [0, 1, 2].map(channel => {
    const plane = new Float64Array(height * width);
    for (let i = 0; i < plane.length; i++) plane[i] = values[3 * i + channel]!;
    return { values: plane, height, width };
  });
}
