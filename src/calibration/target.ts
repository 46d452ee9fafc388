import { PolicyError } from '../errors';
import { studentT } from '../metrics/student-t';
import type { Fidelity, Policy } from '../policy/data';
import type { Pipeline } from '../sampling/pipeline';
import { type CalibrateOptions, calibrate } from './calibrate';
import { measurePolicy } from './measure';
import type { SearchMethod } from './search/search';

/** A likeness that the mean over pairs should reach. */
export interface FidelityTarget {
  readonly metric: 'psnr' | 'ssim';
  readonly least: number;
}

export interface TargetOptions extends Omit<CalibrateOptions, 'schedule'> {
  readonly target: FidelityTarget;
  readonly search?: SearchMethod | undefined;
  readonly trials?: number | undefined;
  /** Told of every budget that was tried. */
  readonly onTried?: ((computed: number, fidelity: Fidelity) => void) | undefined;
}

/** Budgets that a bisection over `steps` tries at most. */
export function budgetsAtMost(steps: number): number {
  return Math.ceil(Math.log2(steps)) + 1;
}

/** How sure it is that the mean over all pairs there are reaches the target, judged by those of the calibration. */
const CONFIDENCE = 0.95;

/** What the mean over all pairs is at least, by the spread of those measured; of a single pair nothing more is known. */
function surelyAtLeast({ mean, std }: Fidelity['psnr'], pairs: number): number {
  // The lower end of a two-sided interval is missed on one side only.
  return pairs > 1 ? mean - (studentT(2 * CONFIDENCE - 1, pairs - 1) * std) / Math.sqrt(pairs) : mean;
}

/**
 * The policy with the fewest computed steps whose mean likeness reaches the target, found by bisection: fidelity grows
 * with the number of computed steps. The mean over the calibration pairs has to lie above the target by so much that
 * the mean over other pairs will reach it too.
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
    return surelyAtLeast(fidelity[target.metric], rest.pairs.length) >= target.least;
  };
  let [low, high] = [2, rest.steps - 1];
  if (!(await meets(high))) {
    throw new PolicyError(
      `Even with ${high} of ${rest.steps} steps computed, the mean ${target.metric.toUpperCase()} does not surely reach ${target.least}.`,
      { hint: 'Ask for less, calibrate on more pairs, or sample without a policy.' },
    );
  }
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await meets(middle)) high = middle;
    else low = middle + 1;
  }
  return found.get(high) as Policy;
}
