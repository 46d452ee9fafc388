import { PolicyError } from '../../errors';
import { computedSteps, type Policy, type PolicyUse, requireFits, reusedOf } from '../../policy/data';
import { readPolicy } from '../../policy/file';
import { policyHash } from '../../policy/hash';
import { shippedPolicies } from '../../policy/on-disk';
import { bestFitting, DEFAULT_METHOD, type PolicySource } from '../../policy/source';

/** Policies that requests may name, and those of a budget. */
export interface ServedPolicies extends PolicySource {
  /**
   * The name of the policy for a run that computes no more than so many of its steps.
   * @returns `none` where every step may be computed
   * @throws PolicyError naming the budgets that there are
   */
  withBudget(use: PolicyUse, forwards: number): Promise<string>;
}

/**
 * The policies of these files beside those that ship with ertacache. A name that a request gives is looked up, and never
 * used as a path.
 */
export function servedPolicies(files: Readonly<Record<string, string>>): ServedPolicies {
  let loaded: Promise<ReadonlyMap<string, Policy>> | undefined;
  const all = (): Promise<ReadonlyMap<string, Policy>> => {
    loaded ??= readAll(files);
    return loaded;
  };
  return {
    fitting: async use => bestFitting([...(await all()).values()], use),
    async named(name) {
      const policies = await all();
      const found = policies.get(name);
      if (found) return found;
      throw new PolicyError(`There is no policy "${name}".`, {
        hint: `Policies: auto, none, ${[...policies.keys()].join(', ')}.`,
      });
    },
    async byHash(hash) {
      const policy = [...(await all()).values()].find(candidate => policyHash(candidate) === hash);
      return policy && { policy };
    },
    async withBudget(use, forwards) {
      const steps = use.sigmas.length - 1;
      if (forwards >= steps) return 'none';
      const fitting = [...(await all())]
        .filter(([, { data }]) => data.name === DEFAULT_METHOD && fits(data, use))
        .map(([name, { data }]) => ({ name, computed: computedSteps(reusedOf(data.schedule)) }))
        .sort((a, b) => b.computed - a.computed);
      const found = fitting.find(({ computed }) => computed <= forwards);
      if (found) return found.name;
      const least = Math.min(steps, ...fitting.map(({ computed }) => computed));
      throw new PolicyError(
        `No policy draws with ${use.model.id} in ${steps} steps at guidance ${use.guidance} by ${forwards} forwards.`,
        { hint: `With these settings it takes at least ${least}.` },
      );
    },
  };
}

async function readAll(files: Readonly<Record<string, string>>): Promise<ReadonlyMap<string, Policy>> {
  const named = Object.entries({ ...(await shippedPolicies()), ...files });
  return new Map(await Promise.all(named.map(async ([name, path]) => [name, await readPolicy(path)] as const)));
}

function fits(data: Policy['data'], use: PolicyUse): boolean {
  try {
    requireFits(data, use);
    return true;
  } catch {
    return false;
  }
}
