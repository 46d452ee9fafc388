import { PolicyError } from '../errors';
import { allowsAll, type Budget, budgetsOf, isBudget, usualBudget, withinBudget } from './budget';
import { type Policy, type PolicyUse, requireFits } from './data';
import { policyHash } from './hash';
import { hasLorasOf } from './loras';

/** A policy, and the file it came from where it came from one that a user named. */
export interface Chosen {
  /** The policy. */
  readonly policy: Policy;
  /** The file that a user named. */
  readonly path?: string;
}

/** Where policies are looked for. */
export interface PolicySource {
  /**
   * The default policy for a run, where there is one that fits.
   * @param use the run
   * @param budget how much of it is to be computed; about half unless given
   * @returns the policy, or nothing where every step is to be computed
   * @throws PolicyError where all that fit compute more
   */
  fitting(use: PolicyUse, budget?: Budget): Promise<Policy | undefined>;
  /**
   * The policy of a file.
   * @param path the name that the request gives
   * @returns the policy
   * @throws PolicyError or IoError naming what is wrong
   */
  named(path: string): Promise<Policy>;
  /**
   * The very policy of this hash: from `path` if that still holds it, else from wherever it is.
   * @param hash as receipts give it
   * @param path the file that it was in when the picture was drawn
   * @returns the policy, or nothing where it is no longer there
   */
  byHash(hash: string, path?: string): Promise<Chosen | undefined>;
}

/** The method that `auto` takes. */
export const DEFAULT_METHOD = 'ertacache';

/**
 * Of the policies that fit a run, the default: the most faithful of those that compute at most half of the steps, or,
 * where all compute more, the one that computes least. Where a budget is given, the one that it asks for.
 * @throws PolicyError where all that fit compute more than the budget
 */
export function bestFitting(policies: readonly Policy[], use: PolicyUse, budget: Budget = {}): Policy | undefined {
  const fitting = policies
    .filter(policy => policy.data.name === DEFAULT_METHOD && fits(policy, use))
    .flatMap(budgetsOf)
    // Of equal budgets, one of the very guidance goes before one of a range.
    .sort((a, b) => Number(a.data.guidanceRange !== undefined) - Number(b.data.guidanceRange !== undefined));
  // One that was made with the very LoRAs of the run goes before those that were not.
  const own = fitting.filter(({ data }) => hasLorasOf(data, use));
  // What a policy keeps was measured without the LoRAs of others.
  const some = own.length > 0 || budget.guarantee ? own : fitting;
  if (!isBudget(budget)) return usualBudget(some);
  const steps = use.sigmas.length - 1;
  if (allowsAll(budget, steps)) return undefined;
  if (some.length > 0 || budget.guarantee) return withinBudget(some, budget);
  throw new PolicyError(
    `No policy fits ${use.model.id} in ${steps} steps at guidance ${use.guidance}, and every step would be computed.`,
    { hint: 'Make one with `ertacache calibrate`, or ask for no budget.' },
  );
}

/**
 * The policy of a hash among those that some hold for all their budgets.
 * @param policies what files hold
 * @param hash as receipts give it
 */
export function policyOfHash(policies: readonly Policy[], hash: string): Policy | undefined {
  return policies.flatMap(policy => [policy, ...budgetsOf(policy)]).find(policy => policyHash(policy) === hash);
}

function fits({ data }: Policy, use: PolicyUse): boolean {
  try {
    requireFits(data, use);
    return true;
  } catch {
    return false;
  }
}

/**
 * Policies that are in memory, by name for those that are asked for by name.
 * @param policies calibrated policies by name; none by default
 * @returns where `draw` looks for policies
 * @example
 * const policies = policiesInMemory({ half: await deserializePolicy(json, load) });
 * const { media } = await draw({ prompt: 'red heart', policy: 'half' }, { model, policies });
 */
export function policiesInMemory(policies: Readonly<Record<string, Policy>> = {}): PolicySource {
  const all = Object.values(policies);
  return {
    fitting: async (use, budget) => bestFitting(all, use, budget),
    async named(name) {
      const found = Object.hasOwn(policies, name) ? policies[name] : undefined;
      if (found) return found;
      throw new PolicyError(`There is no policy "${name}".`, {
        hint: `Policies: ${Object.keys(policies).join(', ') || 'none'}.`,
      });
    },
    async byHash(hash) {
      const policy = policyOfHash(all, hash);
      return policy && { policy };
    },
  };
}
