import { filterValid, type Plane } from './window';

/** Stabilising constants for pixels in [0, 1]. */
const C1 = 0.01 ** 2;
const C2 = 0.03 ** 2;

/** Mean structural similarity of two planes over every window that lies wholly inside them. */
export function meanSimilarity(a: Plane, b: Plane, options: { clampVariance?: boolean } = {}): number {
  const floor = options.clampVariance ? 0 : Number.NEGATIVE_INFINITY;
  const meanA = filterValid(a).values;
  const meanB = filterValid(b).values;
  const squareA = filterValid(product(a, a)).values;
  const squareB = filterValid(product(b, b)).values;
  const cross = filterValid(product(a, b)).values;
  let sum = 0;
  for (let i = 0; i < meanA.length; i++) {
    const [ma, mb] = [meanA[i]!, meanB[i]!];
    const varianceA = Math.max(squareA[i]! - ma * ma, floor);
    const varianceB = Math.max(squareB[i]! - mb * mb, floor);
    const covariance = cross[i]! - ma * mb;
    const luminance = (2 * ma * mb + C1) / (ma * ma + mb * mb + C1);
    sum += luminance * ((2 * covariance + C2) / (varianceA + varianceB + C2));
  }
  return sum / meanA.length;
}

function product(a: Plane, b: Plane): Plane {
  return { ...a, values: a.values.map((value, i) => value * b.values[i]!) };
}
