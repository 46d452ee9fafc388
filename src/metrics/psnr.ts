import { dense, type Image } from '../media/pixels';
import { assertSameShape } from './shapes';

/** Mean squared error of two images or clips over all their values, summed in double precision. */
export function meanSquaredError(a: Image, b: Image): number {
  assertSameShape(a, b);
  const [left, right] = [dense(a), dense(b)];
  let sum = 0;
  for (let i = 0; i < left.length; i++) sum += (left[i]! - right[i]!) ** 2;
  return sum / left.length;
}

/**
 * Peak signal-to-noise ratio of two images in decibels, for pixels in [0, 1]: `-10 log10(mse)`, and 100 for images that
 * are as good as equal (mse below 10⁻¹⁰).
 *
 * Source: TeaCache's evaluation, `common_metrics/calculate_psnr.py`.
 * @param a a picture `[H, W, 3]`, or a clip
 * @param b another of the same shape
 * @returns dB, from 0 to 100
 * @throws ShapeError when the shapes differ
 */
export function psnr(a: Image, b: Image): number {
  const error = meanSquaredError(a, b);
  return error < 1e-10 ? 100 : -10 * Math.log10(error);
}
