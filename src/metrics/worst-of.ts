import { UsageError } from '../errors';
import { torchGenerator } from '../random/torch-generator';
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
const RESAMPLES = 2000;

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
  const random = torchGenerator(0);
  const [ofA, ofB] = [resampled(a, chance), resampled(b, chance)];
  const differences = Array.from({ length: RESAMPLES }, () => {
    const times = new Uint32Array(a.length);
    for (let i = 0; i < a.length; i++) times[Math.floor(random.uniformDouble() * a.length)]! += 1;
    return ofA(times) - ofB(times);
  }).sort((x, y) => x - y);
  const centre = differences.reduce((sum, d) => sum + d, 0) / RESAMPLES;
  const variance = differences.reduce((sum, d) => sum + (d - centre) ** 2, 0) / (RESAMPLES - 1);
  const quantile = (share: number): number => differences[Math.round(share * (RESAMPLES - 1))] as number;
  return {
    count: a.length,
    mean: worstOf(a, count) - worstOf(b, count),
    standardError: Math.sqrt(variance),
    low: quantile((1 - confidence) / 2),
    high: quantile((1 + confidence) / 2),
  };
}

/** `worstOf` of a sample that holds the i-th value `times[i]` times; sorted once for all samples. */
function resampled(values: readonly number[], chance: readonly number[]): (times: Uint32Array) => number {
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
