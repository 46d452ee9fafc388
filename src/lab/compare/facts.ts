import type { BaselineFacts } from '../../calibration/baselines';
import type { Comparison, ComparisonRequest } from './comparison';

/** Facts about a model as a comparison keeps them. */
export function factsToKeep(
  { fit, polynomial, ratios, history }: BaselineFacts,
  { calibration, steps }: Pick<ComparisonRequest, 'calibration' | 'steps'>,
): NonNullable<Comparison['facts']> {
  return {
    polynomial: [...polynomial],
    ratios: [...ratios],
    history: history.map(({ ridge, weights }) => ({ ridge, weights: weights.map(row => [...row]) })),
    r2: fit.r2,
    forwards: calibration.length * steps,
  };
}
