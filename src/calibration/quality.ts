import { mean } from '../metrics/statistics';

/** Beyond this, no difference can be seen, and it should not buy off a pair that is visibly off. */
const ENOUGH_DB = 80;

/** Beyond so many dB nothing counts. Where more than half of the steps are computed, most pairs are beyond it, so all counts. */
export const ceilingAt = (computed: number, steps: number): number =>
  2 * computed > steps ? Number.POSITIVE_INFINITY : ENOUGH_DB;

/**
 * Weight of the worst eighth of the rows: a mean is soon bought with pairs that were good enough already. Of those tried, the
 * one with the fewest pictures below 40 dB (`bench/worst-weight.ts`).
 */
export const DEFAULT_WORST_WEIGHT = 1;
/** It counts from more rows than the first on, and in full from the second on: the worst eighth of a few is luck. */
const ROWS_FOR_WORST = [32, 96] as const;
/** Of so many rows the worst do not count. */
export const [FEW_ROWS] = ROWS_FOR_WORST;

/** How good the worst quarter of a set of runs ended, in dB. */
export function worstQuarter(errors: readonly number[]): number {
  const decibels = errors.map(decibelsOf).sort((a, b) => a - b);
  return mean(decibels.slice(0, Math.ceil(decibels.length / 4)));
}

const decibelsOf = (error: number): number => 10 * Math.log10(4 / Math.max(error, 1e-12));

/**
 * How good a set of runs ended, in dB: between the mean and that of the worst eighth.
 * @param errors mean squared error of every run's final latent
 * @param worstWeight what the worst eighth counts beside the mean, which counts 1
 * @param ceiling dB beyond which nothing counts; see `ceilingAt`
 */
export function qualityOf(errors: readonly number[], worstWeight = DEFAULT_WORST_WEIGHT, ceiling = ENOUGH_DB): number {
  const decibels = errors.map(e => Math.min(ceiling, decibelsOf(e))).sort((a, b) => a - b);
  const worst = mean(decibels.slice(0, Math.ceil(decibels.length / 8)));
  const [few, enough] = ROWS_FOR_WORST;
  const weight = worstWeight * Math.min(1, Math.max(0, (decibels.length - few) / (enough - few)));
  return (mean(decibels) + weight * worst) / (1 + weight);
}
