import { UsageError } from '../errors';
import { resampled } from './bootstrap';
import type { Interval } from './statistics';

/**
 * The value below which a share of all values lies, straight between the two nearest (numpy's `linear`).
 * @param share from 0 (the smallest) to 1 (the largest)
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new UsageError('A quantile of no values is not defined.');
  const sorted = [...values].sort((a, b) => a - b);
  return between(place => sorted[place] as number, sorted.length, share);
}

function between(at: (place: number) => number, count: number, share: number): number {
  const place = share * (count - 1);
  const below = Math.min(Math.floor(place), count - 1);
  const from = at(below);
  return below === count - 1 ? from : from + (place - below) * (at(below + 1) - from);
}

/** `quantile` with its bootstrap interval, as the field `mean`; of a single value nothing is known. */
export function quantileInterval(values: readonly number[], share: number, confidence = 0.95): Interval {
  const { length: count } = values;
  const centre = quantile(values, share);
  if (count === 1) return { count, mean: centre, standardError: Number.NaN, low: -Infinity, high: Infinity };
  const order = values.map((_, i) => i).sort((i, j) => (values[i] as number) - (values[j] as number));
  const ofSample = (times: Uint16Array): number => {
    const at = (place: number): number => {
      let seen = 0;
      const found = order.find(i => {
        seen += times[i] as number;
        return seen > place;
      });
      return values[found as number] as number;
    };
    return between(at, count, share);
  };
  return { ...resampled(count, ofSample, confidence), count, mean: centre };
}
