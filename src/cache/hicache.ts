import { PolicyError } from '../errors';
import { type Forecast, forecasting, seriesForecast } from './forecast';
import type { CachePolicy } from './policy';
import type { SiteName } from './sites';

/** Settings of HiCache. */
export interface HiCacheOptions {
  /** Which steps are rebuilt instead of computed. */
  readonly reused: readonly boolean[];
  /** Highest order of the series; 1 unless given. */
  readonly order?: number | undefined;
  /** Contraction of the polynomials, between 0 and 1: √½, at which order 1 is exact, unless given; the paper has ½. */
  readonly contraction?: number | undefined;
  /** What is forecast; `velocity` unless given. */
  readonly site?: SiteName | undefined;
}

/** The contraction at which the first order, `2 σ² x`, is the distance `x` itself. */
const EXACT = Math.SQRT1_2;

/**
 * HiCache (arXiv 2508.16984): TaylorSeer with Hermite polynomials in place of powers, `σⁱ Hᵢ(σ x)`, which grow less.
 * The distance `x` counts forwards: the paper's listing has it backwards, which turns odd orders round (corrected as in
 * `hicache-plus-plus`).
 * @param options schedule, order, contraction and site
 * @returns the caching method
 * @throws PolicyError for settings out of range
 */
export function hicache({ reused, order = 1, contraction = EXACT, site }: HiCacheOptions): CachePolicy {
  if (!Number.isInteger(order) || order < 1 || !(contraction > 0 && contraction < 1)) {
    throw new PolicyError(`HiCache has no order ${order} with a contraction of ${contraction}.`, {
      hint: 'The order is a whole number from 1, and the contraction lies between 0 and 1.',
    });
  }
  return forecasting({ name: 'hicache', reused, site, forecast: hermiteForecast(order, contraction) });
}

/** The forecast by contracted Hermite polynomials. */
export function hermiteForecast(order: number, contraction = EXACT): Forecast {
  return seriesForecast(order, (i, x) => contraction ** i * hermite(i, contraction * x));
}

/** The physicists' Hermite polynomial: `H₀ = 1`, `H₁ = 2x`, `Hₙ₊₁ = 2x Hₙ - 2n Hₙ₋₁`. */
export function hermite(order: number, x: number): number {
  let [before, value] = [0, 1];
  for (let n = 0; n < order; n++) [before, value] = [value, 2 * x * value - 2 * n * before];
  return value;
}
