import { PolicyError } from '../errors';
import type { Policy, PolicyUse } from './data';
import { computedSteps, requireFits, reusedOf } from './data';
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
   * @returns the policy, or nothing where every step is to be computed
   */
  fitting(use: PolicyUse): Promise<Policy | undefined>;
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
 * where all compute more, the one that computes least.
 */
export function bestFitting(policies: readonly Policy[], use: PolicyUse): Policy | undefined {
  const computed = ({ data }: Policy): number => computedSteps(reusedOf(data.schedule));
  const fitting = policies
    .filter(policy => policy.data.name === DEFAULT_METHOD && fits(policy, use))
    .sort((a, b) => computed(b) - computed(a));
  // One that was made with the very LoRAs of the run goes before those that were not.
  const own = fitting.filter(({ data }) => hasLorasOf(data, use));
  const some = own.length > 0 ? own : fitting;
  return some.find(policy => 2 * computed(policy) <= policy.data.schedule.length) ?? some.at(-1);
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
    fitting: async use => bestFitting(all, use),
    async named(name) {
      const found = Object.hasOwn(policies, name) ? policies[name] : undefined;
      if (found) return found;
      throw new PolicyError(`There is no policy "${name}".`, {
        hint: `Policies: ${Object.keys(policies).join(', ') || 'none'}.`,
      });
    },
    async byHash(hash) {
      const policy = all.find(candidate => policyHash(candidate) === hash);
      return policy && { policy };
    },
  };
}
