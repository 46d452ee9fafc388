import { cutSettings } from '../cache/cut';
import { ertacache } from '../cache/ertacache';
import { none } from '../cache/none';
import type { CachePolicy } from '../cache/policy';
import { PolicyError } from '../errors';
import { allowsAll, atBudget, type Budget, isBudget, withinBudget } from '../policy/budget';
import { type PolicyUse, policySettings, requireFits } from '../policy/data';
import { policyHash } from '../policy/hash';
import type { Chosen, PolicySource } from '../policy/source';
import { HAND_MADE, policyByHand } from './hand-made';
import type { Receipt } from './receipt';
import type { FullRequest } from './request';

/** What of a request says how much is computed. */
export const budgetOf = ({ forwards, speedup, psnr, guarantee }: Budget): Budget => ({
  forwards,
  speedup,
  psnr,
  guarantee,
});

/** What of a request chooses its policy. */
export type PolicyChoice = Pick<FullRequest, 'policy'> & Budget;

/**
 * The policy that a request names, or that of its budget, checked against its run.
 * @param choice a file, `auto` or `none`, and how much of the run is to be computed
 * @returns nothing where every step is to be computed: nothing fits, or nothing is to be reused
 * @throws PolicyError when the named policy is not for this run, or computes more than the budget
 */
export async function choosePolicy(
  choice: PolicyChoice,
  use: PolicyUse,
  policies: PolicySource,
): Promise<Chosen | undefined> {
  const { policy: name } = choice;
  const budget = budgetOf(choice);
  if (name === 'none') return undefined;
  if (name === 'auto') {
    const policy = await policies.fitting(use, budget);
    return policy && { policy: atBudget(policy, budget) };
  }
  const policy = await policies.named(name);
  requireFits(policy.data, use);
  if (allowsAll(budget, use.sigmas.length - 1)) return undefined;
  const found = isBudget(budget) ? withinBudget([policy], budget) : policy;
  return found && { policy: found, path: name };
}

/**
 * The very policy that made a picture: as it is kept, or, where its schedule was made by hand, made again.
 * @param modelClass class of the model's transformer
 * @returns nothing where every step was computed
 * @throws PolicyError when it is no longer there, or is not for this run
 */
export async function policyOfReceipt(
  { policy, schedule }: Pick<Receipt, 'policy' | 'schedule'>,
  use: PolicyUse,
  policies: PolicySource,
  modelClass: string,
): Promise<Chosen | undefined> {
  if (!policy) return undefined;
  const { name, hash, path } = policy;
  const found = await policies.byHash(hash, path);
  if (found) return checked(found, use);
  // Of a run that began with a picture the receipt has a part of the schedule only.
  if (name === HAND_MADE && schedule.length === use.sigmas.length - 1) {
    const made = policyByHand(schedule, use, modelClass);
    if (policyHash(made) === hash) return { policy: made };
  }
  throw new PolicyError(`The policy "${name}" (${hash}) that made the picture is no longer here.`, {
    hint: path ? `Put ${path} back as it was.` : 'Use the version of ertacache that made the picture.',
  });
}

function checked(chosen: Chosen, use: PolicyUse): Chosen {
  requireFits(chosen.policy.data, use);
  return chosen;
}

/** The caching method of a run under a policy that was checked against it. */
export function cacheOf(chosen: Chosen | undefined, { guidance, skipped = 0 }: PolicyUse): CachePolicy {
  return chosen ? ertacache(cutSettings(policySettings(chosen.policy, guidance), skipped)) : none();
}

/** What a receipt says of a policy. */
export function policyReceipt(chosen: Chosen | undefined): Receipt['policy'] {
  if (!chosen) return null;
  const { policy, path } = chosen;
  return { name: policy.data.name, hash: policyHash(policy), ...(path && { path }) };
}
