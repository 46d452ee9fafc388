import { UsageError } from '../errors';
import type { Interval } from './statistics';

/** Quantile of the normal distribution that 95 % of it lie within, on either side. */
const Z = 1.959964;

/**
 * The share of values for which something holds, with its 95 % interval (Wilson's): it does not shrink to nothing where
 * none, or all, of a few values are seen, as a bootstrap's would.
 */
export function shareInterval(holds: readonly boolean[]): Interval {
  const { length: count } = holds;
  if (count === 0) throw new UsageError('A share of no values is not defined.');
  const share = holds.filter(Boolean).length / count;
  const middle = (share + Z ** 2 / (2 * count)) / (1 + Z ** 2 / count);
  const reach = (Z / (1 + Z ** 2 / count)) * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2));
  return {
    count,
    mean: share,
    standardError: Math.sqrt((share * (1 - share)) / count),
    low: share === 0 ? 0 : middle - reach,
    high: share === 1 ? 1 : middle + reach,
  };
}
