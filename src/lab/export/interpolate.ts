import type { Expression, Size } from '../../models/sizes';

/** A size and the two values that it had in the recordings. */
export interface Varied {
  readonly size: Size;
  readonly low: number;
  readonly high: number;
}

/**
 * The whole-number polynomial, linear in every size, that takes these values: such are all shapes that are made of
 * sizes by sums and products.
 * @param values one for every choice of low and high: bit `i` of the index is set where size `i` was high
 * @returns undefined where no such polynomial does it
 */
export function interpolate(values: readonly number[], varied: readonly Varied[]): Expression | undefined {
  const coefficients = [...values];
  varied.forEach(({ low, high }, i) => {
    const bit = 1 << i;
    coefficients.forEach((atLow, mask) => {
      if (mask & bit) return;
      const slope = ((coefficients[mask | bit] as number) - atLow) / (high - low);
      coefficients[mask] = atLow - slope * low;
      coefficients[mask | bit] = slope;
    });
  });
  const whole = coefficients.map(c => Math.round(c));
  if (coefficients.some((c, i) => Math.abs(c - (whole[i] as number)) > 1e-6)) return undefined;
  return whole.flatMap((factor, mask) =>
    factor === 0 ? [] : [{ factor, sizes: varied.filter((_, i) => mask & (1 << i)).map(v => v.size) }],
  );
}
