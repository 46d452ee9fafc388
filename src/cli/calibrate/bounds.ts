import { boundForwards, measureBounds, requireBoundPairs } from '../../calibration/bound/measure-bound';
import { mayBeSteered, mixed } from '../../calibration/mixture';
import { boundPairs } from '../../calibration/pairs';
import { given } from '../../io/given';
import type { PolicyBound } from '../../policy/bound';
import { budgetsOf, computedBy } from '../../policy/budget';
import type { Policy } from '../../policy/data';
import type { Pipeline } from '../../sampling/pipeline';
import { encodeAhead, promptRequests } from '../encode-ahead';
import { progressLine } from '../progress';

/** Models with fewer parameters find a bound without being asked for it. */
const SMALL = 50e6;
/** On so many pairs. */
const USUAL_PAIRS = 128;
/** A calibration on fewer pairs is a trial, which a bound would make many times as long. */
const LEAST_CALIBRATION = 16;

/**
 * Pairs that a bound is found on where nobody says how many.
 * @param calibration pairs that the policy is calibrated on
 */
export const usualBoundPairs = ({ parameters }: Pick<Pipeline['info'], 'parameters'>, calibration: number): number =>
  parameters < SMALL && calibration >= LEAST_CALIBRATION ? USUAL_PAIRS : 0;

export interface BoundOptions {
  readonly prompts: readonly string[];
  /** How many; 0 for no bound. */
  readonly pairs: number;
  /** Share of them that are unusual. */
  readonly mixture?: number | undefined;
  /** What the pipeline steers all of them away from. */
  readonly negative?: string | undefined;
  readonly batch: number;
  readonly signal: AbortSignal;
}

/** @throws UsageError for a number of pairs that no bound can come from, before anything is computed */
export function checkBoundPairs(pairs: number): void {
  if (pairs > 0) requireBoundPairs(pairs);
}

/** Policies for the same steps and guidance, each of their budgets with what its pictures keep at least. */
export async function withBounds(
  pipeline: Pipeline,
  policies: readonly Policy[],
  { prompts, pairs: count, mixture = 0, negative, batch, signal }: BoundOptions,
): Promise<Policy[]> {
  const [first] = policies;
  if (count === 0 || !first) return [...policies];
  const { schedule, guidance } = first.data;
  const seen = new Set(policies.flatMap(({ data }) => data.calibration.pairs.map(({ prompt }) => prompt)));
  const steered = mixture > 0 && mayBeSteered(pipeline, { steps: schedule.length, guidance });
  const pairs = mixed(boundPairs(prompts, count, seen), mixture, steered);
  await encodeAhead(pipeline, promptRequests(pairs, { steps: schedule.length, guidance }), signal);
  const all = policies.flatMap(budgetsOf);
  const line = progressLine('finding bounds', pairs.length * boundForwards(all));
  let done = 0;
  const onPasses = (passes: number): void => {
    done += passes;
    line.update(done);
  };
  const bounds = await measureBounds(pipeline, all, pairs, { batch, signal, onPasses }).finally(line.stop);
  const isListed = mixture === 0 && prompts.every(prompt => pipeline.info.prompts.includes(prompt));
  const isMixed = pairs.some(pair => pair.negative !== undefined);
  const about = {
    ...(isListed && { listed: true as const }),
    ...(isMixed ? { negative: null } : given({ negative })),
    ...(pipeline.info.dtype === 'bfloat16' && { dtype: 'bfloat16' as const }),
  };
  const found = new Map(all.map((policy, i) => [policy, { ...(bounds[i] as PolicyBound), ...about }]));
  const bounded = (policy: Policy): Policy => ({ ...policy, data: { ...policy.data, bound: found.get(policy) } });
  return policies.map(policy => {
    if (!policy.budgets) return bounded(policy);
    const budgets = policy.budgets.map(bounded);
    return { ...(budgets.find(each => computedBy(each) === computedBy(policy)) ?? policy), budgets };
  });
}
