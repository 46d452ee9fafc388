import type { ByConfidence } from '../../cache/bound';

/** The confidences that policies hold bounds for. */
export const CONFIDENCES = [0.5, 0.8, 0.9, 0.95, 0.99] as const;

/** `0.1 · 10` is a little less than 1. */
const ROUNDING = 1e-9;

/**
 * What a further value reaches with each confidence, by split-conformal prediction: of `n` values and one more that comes
 * from where they come from, every order is as likely, so that it is below the k-th smallest with chance `k / (n + 1)`.
 * @returns one entry for each confidence that so many values allow
 */
export function reachedBy(
  values: readonly number[],
  confidences: readonly number[] = CONFIDENCES,
): readonly ByConfidence[] {
  const sorted = [...values].sort((a, b) => a - b);
  return confidences.flatMap(confidence => {
    const rank = Math.floor((sorted.length + 1) * (1 - confidence) + ROUNDING);
    return rank < 1 ? [] : [{ confidence, dB: sorted[rank - 1] as number }];
  });
}
