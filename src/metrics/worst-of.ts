import { UsageError } from '../errors';
import { resampled } from './bootstrap';
import type { Interval } from './statistics';

/**
 * Chance that the smallest of `count` values drawn from `total`, none twice, is among the `r` smallest, for every r
 * from 0 to `total`: `1 - C(total - r, count) / C(total, count)`.
 */
function chanceAmongSmallest(total: number, count: number): number[] {
  let missed = 1;
  return Array.from({ length: total + 1 }, (_, r) => {
    if (r > 0) missed *= Math.max(0, total - r + 1 - count) / (total - r + 1);
    return 1 - missed;
  });
}

/**
 * What the worst of `count` pictures is on average: the expected minimum of `count` values drawn from all, none twice.
 *
 * The plain minimum falls as pictures are added, and depends on a single one; this expectation does neither. For
 * `count` values or fewer it is the plain minimum.
 */
export function worstOf(values: readonly number[], count: number): number {
  if (values.length === 0) throw new UsageError('The worst of no values is not defined.');
  const sorted = [...values].sort((a, b) => a - b);
  const chance = chanceAmongSmallest(sorted.length, Math.min(count, sorted.length));
  return sorted.reduce((sum, value, i) => sum + value * ((chance[i + 1] as number) - (chance[i] as number)), 0);
}

/** Fewer groups than this say too little about what the worst of a group is. */
const LEAST_GROUPS = 4;

/**
 * `worstOf` with its bootstrap interval, as the field `mean`. Of fewer than four times `count` values the ends are
 * infinite: resampling says little about a minimum.
 */
export function worstOfInterval(values: readonly number[], count: number, confidence = 0.95): Interval {
  const centre = { count: values.length, mean: worstOf(values, count) };
  if (values.length < LEAST_GROUPS * count) {
    return { ...centre, standardError: Number.NaN, low: -Infinity, high: Infinity };
  }
  const ofSample = sampledWorst(values, chanceAmongSmallest(values.length, count));
  return { ...resampled(values.length, ofSample, confidence), ...centre };
}

/**
 * `worstOf(a) - worstOf(b)` of values measured on the same pictures, with its bootstrap interval: pictures are drawn
 * again with replacement, the same ones for both.
 * @returns nothing where there are fewer than four times `count` pictures: resampling says little about a minimum
 */
export function worstOfDifference(
  a: readonly number[],
  b: readonly number[],
  count: number,
  confidence = 0.95,
): Interval | undefined {
  if (a.length !== b.length) throw new UsageError(`${a.length} values cannot be paired with ${b.length}.`);
  if (a.length < LEAST_GROUPS * count) return undefined;
  const chance = chanceAmongSmallest(a.length, count);
  const [ofA, ofB] = [sampledWorst(a, chance), sampledWorst(b, chance)];
  return {
    ...resampled(a.length, times => ofA(times) - ofB(times), confidence),
    count: a.length,
    mean: worstOf(a, count) - worstOf(b, count),
  };
}

/** `worstOf` of a sample that holds the i-th value `times[i]` times; sorted once for all samples. */
function sampledWorst(values: readonly number[], chance: readonly number[]): (times: Uint16Array) => number {
  const order = values.map((_, i) => i).sort((i, j) => (values[i] as number) - (values[j] as number));
  return times => {
    let [seen, sum] = [0, 0];
    for (const i of order) {
      const before = chance[seen] as number;
      seen += times[i] as number;
      sum += (values[i] as number) * ((chance[seen] as number) - before);
    }
    return sum;
  };
}
