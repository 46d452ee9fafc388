import { atLeast } from '../cache/bound';
import { PolicyError, UsageError } from '../errors';
import { MOST } from '../io/counts';
import { computedSteps, type Policy, reusedOf } from './data';

/**
 * How much of a run is to be computed; at most one of the four is given. A policy's file may hold policies of many
 * budgets.
 */
export interface Budget {
  /** At most so many forward passes. */
  readonly forwards?: number | undefined;
  /** At most one step in so many. */
  readonly speedup?: number | undefined;
  /** The fewest forward passes whose mean PSNR (8-bit pixels, dB) reached this when the policy was measured. */
  readonly psnr?: number | undefined;
  /** The fewest forward passes, and more than `above`, whose pictures keep this PSNR at least, with this confidence. */
  readonly guarantee?: Guarantee | undefined;
}

/** What a picture has to keep at least, and how sure that has to be. */
export interface Guarantee {
  /** PSNR of the 8-bit pixels to those of the uncached picture, in dB. */
  readonly psnr: number;
  /** Share of pictures for which it has to hold. */
  readonly confidence: number;
  /** Forward passes that were tried and are too few; 0 unless given. */
  readonly above?: number | undefined;
}

/** Whether so many of a policy's pictures keep what is asked for. */
function keeps({ data }: Policy, { psnr, confidence }: Guarantee): boolean {
  const bound = data.bound && atLeast(data.bound.all, confidence);
  return bound !== undefined && bound.dB >= psnr;
}

/** How many steps a policy computes. */
export const computedBy = ({ data }: Policy): number => computedSteps(reusedOf(data.schedule));

/** The policies of all budgets that a policy's file holds, from the fewest computed steps to the most. */
export function budgetsOf(policy: Policy): readonly Policy[] {
  return policy.budgets ?? [policy];
}

/**
 * Of policies for one run the one that is taken where nobody asks for a budget: the most faithful of those that compute
 * at most half of the steps, or, where all compute more, the one that computes least.
 */
export function usualBudget(policies: readonly Policy[]): Policy | undefined {
  const falling = [...policies].sort((a, b) => computedBy(b) - computedBy(a));
  return falling.find(policy => 2 * computedBy(policy) <= policy.data.schedule.length) ?? falling.at(-1);
}

/**
 * Mean PSNR that a policy was measured at, of 8-bit pixels: on held-out pairs, or else on those of the calibration.
 * @returns nothing where only floats were measured, as in files of earlier versions, or nothing was
 */
export function measuredPsnr({ data: { measured } }: Policy): number | undefined {
  const fidelity = measured.heldOut ?? measured.calibration;
  return fidelity?.floatPsnr && fidelity.psnr.mean;
}

/** Whether a budget says anything. @throws UsageError where two of its three say something */
export function isBudget(budget: Budget): boolean {
  const given = (['forwards', 'speedup', 'psnr', 'guarantee'] as const).filter(name => budget[name] !== undefined);
  if (given.length < 2) return given.length === 1;
  throw new UsageError(`${given.slice(0, 2).join(' and ')} both say how much is computed.`, {
    hint: 'Give one of them.',
  });
}

/** The most forward passes that a budget allows of a run of `steps`; of a likeness nobody can say. */
function mostForwards({ forwards, speedup }: Budget, steps: number): number | undefined {
  // 30 steps by 1.2 are 25, and not 24.999….
  return speedup === undefined ? forwards : Math.max(1, Math.floor(steps / speedup + 1e-9));
}

/** Whether a budget allows that every step is computed. */
export function allowsAll(budget: Budget, steps: number): boolean {
  const most = mostForwards(budget, steps);
  return most !== undefined && most >= steps;
}

/**
 * Of policies for one run the one that a budget asks for: the most computed steps that it allows, or the fewest that
 * reach its likeness.
 * @param policies may hold several budgets each; of equal ones the first is taken
 * @returns nothing where none is measured to reach a likeness, or to keep one: then every step has to be computed
 * @throws PolicyError where all compute more, with the fewest that there are
 */
export function withinBudget(policies: readonly Policy[], budget: Budget): Policy | undefined {
  const all = policies.flatMap(budgetsOf).sort((a, b) => computedBy(a) - computedBy(b));
  const steps = Math.max(0, ...all.map(({ data }) => data.schedule.length));
  const { psnr, guarantee } = budget;
  if (guarantee) return all.find(each => computedBy(each) > (guarantee.above ?? 0) && keeps(each, guarantee));
  if (psnr !== undefined) return all.find(policy => (measuredPsnr(policy) ?? Number.NEGATIVE_INFINITY) >= psnr);
  const most = mostForwards(budget, steps) ?? MOST.steps;
  const within = all.filter(policy => computedBy(policy) <= most);
  const largest = within.at(-1);
  const found = largest && within.find(policy => computedBy(policy) === computedBy(largest));
  if (found) return found;
  const least = all[0] ? computedBy(all[0]) : steps;
  throw new PolicyError(`No policy computes ${most} or fewer of ${steps} steps.`, {
    hint: `With these settings it takes at least ${least}.`,
  });
}

/**
 * The policy of one budget from a policy that holds many.
 * @param policy what `readPolicy` and `calibrate` give
 * @param budget how much of a run is to be computed
 * @returns a policy of that budget alone
 * @throws PolicyError where every budget of the policy is larger, or none was measured to reach the likeness
 * @example
 * const policy = atBudget(await readPolicy('all.json'), { forwards: 12 });
 */
export function atBudget(policy: Policy, budget: Budget): Policy {
  if (!isBudget(budget)) return policy;
  const found = withinBudget([policy], budget);
  if (found) return found;
  if (budget.guarantee) {
    throw new PolicyError(`No budget of the policy surely keeps ${budget.guarantee.psnr} dB.`, {
      hint: 'Ask for less, or calibrate with more computed steps and --bound-pairs.',
    });
  }
  const best = Math.max(...budgetsOf(policy).map(each => measuredPsnr(each) ?? Number.NEGATIVE_INFINITY));
  throw new PolicyError(`No budget of the policy was measured to reach ${budget.psnr} dB.`, {
    hint: Number.isFinite(best) ? `The most is ${best.toFixed(1)} dB.` : 'The policy was not measured.',
  });
}
