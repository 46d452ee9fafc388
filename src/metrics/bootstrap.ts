import { torchGenerator } from '../random/torch-generator';
import { type Interval, mean, standardError } from './statistics';

const RESAMPLES = 2000;

/**
 * Mean of `values` with its bootstrap interval: values are drawn again with replacement, with a fixed seed, and the ends
 * are quantiles of the means. Unlike a t-interval it does not leave the range that the values can have, and is uneven
 * where they are.
 */
export function bootstrapInterval(values: readonly number[], confidence = 0.95): Interval {
  const centre = mean(values);
  const { length: count } = values;
  if (count === 1) return { count, mean: centre, standardError: Number.NaN, low: -Infinity, high: Infinity };
  const random = torchGenerator(0);
  const means = Float64Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += values[Math.floor(random.uniformDouble() * count)] as number;
    return sum / count;
  }).sort();
  const quantile = (share: number): number => means[Math.round(share * (RESAMPLES - 1))] as number;
  return {
    count,
    mean: centre,
    standardError: standardError(values),
    low: quantile((1 - confidence) / 2),
    high: quantile((1 + confidence) / 2),
  };
}
