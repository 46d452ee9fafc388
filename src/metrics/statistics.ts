import { UsageError } from '../errors';
import { studentT } from './student-t';

/** A mean with its two-sided confidence interval. */
export interface Interval {
  count: number;
  mean: number;
  standardError: number;
  /** Ends of the interval; infinite for a single value, about whose spread nothing is known. */
  low: number;
  high: number;
}

/** Arithmetic mean; throws for an empty list. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new UsageError('The mean of no values is not defined.');
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Middle value; of an even number of values the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return ((low as number) + (high as number)) / 2;
}

/** Standard deviation of a sample (n - 1 in the denominator); NaN for a single value. */
export function standardDeviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** Standard error of the mean; NaN for a single value. */
export function standardError(values: readonly number[]): number {
  return standardDeviation(values) / Math.sqrt(values.length);
}

/** Mean of `values` with its t-interval. */
export function meanInterval(values: readonly number[], confidence = 0.95): Interval {
  const centre = mean(values);
  const error = standardError(values);
  const reach = values.length > 1 ? studentT(confidence, values.length - 1) * error : Number.POSITIVE_INFINITY;
  return { count: values.length, mean: centre, standardError: error, low: centre - reach, high: centre + reach };
}

/**
 * Mean of `a[i] - b[i]` with its t-interval, for values measured on the same prompts and seeds: the spread between
 * prompts, which both share, drops out.
 */
export function pairedDifference(a: readonly number[], b: readonly number[], confidence = 0.95): Interval {
  if (a.length !== b.length) {
    throw new UsageError(`${a.length} values cannot be paired with ${b.length}.`);
  }
  return meanInterval(
    a.map((value, i) => value - b[i]!),
    confidence,
  );
}
