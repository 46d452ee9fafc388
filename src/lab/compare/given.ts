import { UsageError } from '../../errors';
import { budgetsOf } from '../../policy/budget';
import { computedSteps, type Policy, type PolicyUse, requireFits, reusedOf } from '../../policy/data';
import { policyHash } from '../../policy/hash';
import type { Pair } from '../../policy/pair';
import { requireApart } from './begin';
import type { ComparisonRequest } from './comparison';
import type { Contender } from './contender';
import { cellName } from './names';

/** Policies to use instead of calibrating. */
export interface Given {
  /** By the name of the cell that they fill. */
  readonly byCell: ReadonlyMap<string, Policy>;
  readonly listed: ComparisonRequest['policies'];
}

/** A policy, and how errors call it. */
export interface CalledPolicy {
  readonly called: string;
  readonly policy: Policy;
}

/**
 * Policies that are to be compared as they are.
 * @throws PolicyError or UsageError where one does not fit the run, no method has its name, or it has seen a pair
 */
export function givenPolicies(
  policies: readonly CalledPolicy[],
  use: PolicyUse,
  contenders: readonly Contender[],
  evaluation: readonly Pair[],
): Given {
  const byCell = new Map<string, Policy>();
  const listed: ComparisonRequest['policies'] = [];
  for (const { called, policy } of policies.flatMap(({ called, policy }) =>
    budgetsOf(policy).map(each => ({ called, policy: each })),
  )) {
    const { name, schedule, calibration } = policy.data;
    requireFits(policy.data, use);
    requireApart(calibration.pairs, evaluation, called);
    if (!contenders.some(c => c.name === name)) {
      throw new UsageError(`${called} is for the method "${name}", which is not compared.`, {
        hint: 'Name it in --methods, or calibrate with --name ertacache.',
      });
    }
    const computed = computedSteps(reusedOf(schedule));
    byCell.set(cellName(name, computed), policy);
    listed.push({ method: name, computed, hash: policyHash(policy) });
  }
  return { byCell, listed };
}
