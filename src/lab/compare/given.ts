import { UsageError } from '../../errors';
import { budgetsOf, computedBy } from '../../policy/budget';
import { type Policy, type PolicyUse, requireFits } from '../../policy/data';
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

/** What policies are given to: a run, its pairs, and the table of methods and budgets. */
export interface Table {
  readonly use: PolicyUse;
  readonly contenders: readonly Contender[];
  readonly budgets: readonly number[];
  readonly evaluation: readonly Pair[];
}

/**
 * Policies that are to be compared as they are. Of a file of many budgets those that are compared count.
 * @throws PolicyError or UsageError where one does not fit the run, has no place in the table, or has seen a pair
 */
export function givenPolicies(policies: readonly CalledPolicy[], table: Table): Given {
  const byCell = new Map<string, CalledPolicy>();
  for (const { called, policy } of policies) {
    const { name } = policy.data;
    requireCompared(called, policy, table);
    for (const each of budgetsOf(policy)) {
      if (!table.budgets.includes(computedBy(each))) continue;
      requireFits(each.data, table.use);
      requireApart(each.data.calibration.pairs, table.evaluation, called);
      const cell = cellName(name, computedBy(each));
      const other = byCell.get(cell);
      if (other && policyHash(other.policy) !== policyHash(each)) {
        throw new UsageError(`${other.called} and ${called} are both ${name} at ${computedBy(each)} steps.`, {
          hint: 'Give one of them.',
        });
      }
      byCell.set(cell, { called, policy: each });
    }
  }
  const listed = [...byCell.values()].map(({ policy }) => ({
    method: policy.data.name,
    computed: computedBy(policy),
    hash: policyHash(policy),
  }));
  return { byCell: new Map([...byCell].map(([cell, { policy }]) => [cell, policy])), listed };
}

/** @throws UsageError where a policy would not be used: its method, or all of its budgets, are not compared */
function requireCompared(called: string, policy: Policy, { contenders, budgets }: Table): void {
  const { name } = policy.data;
  if (!contenders.some(c => c.name === name || c.after === name)) {
    throw new UsageError(`${called} is for the method "${name}", which is not compared.`, {
      hint: 'Name it in --methods, or calibrate with --name ertacache.',
    });
  }
  const computed = budgetsOf(policy).map(computedBy);
  if (computed.some(each => budgets.includes(each))) return;
  const steps = policy.data.schedule.length;
  throw new UsageError(`${called} computes ${budgetsText(computed)} of ${steps} steps, which is not compared.`, {
    hint: `Add it: --budgets ${[...budgets, ...computed.slice(0, 1)].join(',')}.`,
  });
}

const budgetsText = (computed: readonly number[]): string =>
  computed.length > 2 ? `${Math.min(...computed)} to ${Math.max(...computed)}` : computed.join(' and ');
