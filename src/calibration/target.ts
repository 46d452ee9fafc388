import { PolicyError } from '../errors';
import type { Pipeline } from '../pipelines/pipeline';
import { type CalibrateOptions, calibrate } from './calibrate';
import { measurePolicy } from './measure';
import type { Fidelity, Policy } from './policy-data';
import type { SearchMethod } from './search';

/** A likeness that the mean over calibration pairs should reach. */
export interface FidelityTarget {
  readonly metric: 'psnr' | 'ssim';
  readonly least: number;
}

export interface TargetOptions extends Omit<CalibrateOptions, 'schedule'> {
  readonly target: FidelityTarget;
  readonly search?: SearchMethod;
  readonly trials?: number;
  /** Told of every budget that was tried. */
  readonly onTried?: (computed: number, fidelity: Fidelity) => void;
}

/** Budgets that a bisection over `steps` tries at most. */
export function budgetsAtMost(steps: number): number {
  return Math.ceil(Math.log2(steps)) + 1;
}

/**
 * The policy with the fewest computed steps whose mean likeness on the calibration pairs reaches the target, found by
 * bisection: fidelity grows with the number of computed steps.
 * @throws PolicyError when even reusing a single step misses the target
 */
export async function calibrateToTarget(pipeline: Pipeline, options: TargetOptions): Promise<Policy> {
  const { target, search, trials, onTried, ...rest } = options;
  const found = new Map<number, Policy>();
  const meets = async (computed: number): Promise<boolean> => {
    const schedule = { computed, ...(search && { search }), ...(trials !== undefined && { trials }) };
    const policy = await calibrate(pipeline, { ...rest, schedule });
    const fidelity = await measurePolicy(pipeline, policy, rest.pairs, { batch: rest.batch ?? 8, signal: rest.signal });
    onTried?.(computed, fidelity);
    found.set(computed, policy);
    return fidelity[target.metric].mean >= target.least;
  };
  let [low, high] = [2, rest.steps - 1];
  if (!(await meets(high))) {
    throw new PolicyError(
      `Even with ${high} of ${rest.steps} steps computed, the mean ${target.metric.toUpperCase()} stays below ${target.least}.`,
      { hint: 'Ask for less, or sample without a policy.' },
    );
  }
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await meets(middle)) high = middle;
    else low = middle + 1;
  }
  return found.get(high) as Policy;
}
