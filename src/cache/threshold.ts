import { PolicyError } from '../errors';

/** @throws PolicyError when a threshold is not a number from 0 */
export function requireThreshold(method: string, threshold: number): void {
  if (threshold >= 0) return;
  throw new PolicyError(`The threshold of ${method} must be a number from 0; it is ${threshold}.`, {
    hint: 'A larger threshold reuses more steps, and 0 reuses none that changes.',
  });
}
