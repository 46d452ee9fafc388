/** What the module exports. */
import { madd } from './numbers';

export { attend, attendScratch } from './attention';
export { product, productScratch } from './product';
export { activate, gated, layerNorm, rmsNorm, rotate } from './rows';
export { widen, widenScratch } from './widen';

/** Whether this machine rounds `a · b + c` once: (1 + 2⁻¹²)² - 1 - 2⁻¹¹ is 2⁻²⁴ then, and 0 if the square is rounded. */
export function isFused(x: f32): bool {
  const square = madd(f32x4.splat(x), f32x4.splat(x), f32x4.splat(-1 - 0.00048828125));
  return f32x4.extract_lane(square, 0) !== 0;
}
