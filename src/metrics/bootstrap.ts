import { torchGenerator } from '../random/torch-generator';
import { type Interval, mean, standardError } from './statistics';

/** How often values are drawn again. */
const RESAMPLES = 2000;

/** Above so many values, samples are drawn one by one, for they would fill the memory. */
const MOST_KEPT = 4096;

/** Samples of the number of values that was asked for last: many statistics are taken of as many pictures. */
let kept: { readonly count: number; readonly samples: readonly Uint16Array[] } | undefined;

/** How often each of `count` values comes in each of the samples, which are drawn with a fixed seed. */
function* samplesOf(count: number): Iterable<Uint16Array> {
  if (kept?.count === count) return yield* kept.samples;
  const random = torchGenerator(0);
  const samples: Uint16Array[] = [];
  for (let n = 0; n < RESAMPLES; n++) {
    const times = new Uint16Array(count);
    for (let i = 0; i < count; i++) times[Math.floor(random.uniformDouble() * count)]! += 1;
    if (count <= MOST_KEPT) samples.push(times);
    yield times;
  }
  if (count <= MOST_KEPT) kept = { count, samples };
}

/**
 * A statistic of samples that are drawn from `count` values with replacement, with a fixed seed.
 * @param statistic told how often each value was drawn; borrowed
 * @returns its standard error and the quantiles between which `confidence` of its values lie
 */
export function resampled(
  count: number,
  statistic: (times: Uint16Array) => number,
  confidence: number,
): Pick<Interval, 'standardError' | 'low' | 'high'> {
  const found = Float64Array.from(samplesOf(count), statistic).sort();
  const centre = found.reduce((sum, value) => sum + value, 0) / RESAMPLES;
  const variance = found.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (RESAMPLES - 1);
  const quantile = (share: number): number => found[Math.round(share * (RESAMPLES - 1))] as number;
  return {
    standardError: Math.sqrt(variance),
    low: quantile((1 - confidence) / 2),
    high: quantile((1 + confidence) / 2),
  };
}

/**
 * Mean of `values` with its bootstrap interval. Unlike a t-interval it does not leave the range that the values can have,
 * and is uneven where they are.
 */
export function bootstrapInterval(values: readonly number[], confidence = 0.95): Interval {
  const { length: count } = values;
  const centre = mean(values);
  if (count === 1) return { count, mean: centre, standardError: Number.NaN, low: -Infinity, high: Infinity };
  const meanOf = (times: Uint16Array): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += (times[i] as number) * (values[i] as number);
    return sum / count;
  };
  return { ...resampled(count, meanOf, confidence), count, mean: centre, standardError: standardError(values) };
}
