import { PolicyError } from '../errors';
import type { Policy, PolicyUse } from './data';
import { requireFits } from './data';
import { policyHash } from './hash';

/** A policy, and the file it came from where it came from one that a user named. */
export interface Chosen {
  readonly policy: Policy;
  readonly path?: string;
}

/** Where policies are looked for. */
export interface PolicySource {
  /** The default policy for a run, where there is one that fits. */
  fitting(use: PolicyUse): Promise<Policy | undefined>;
  /** The policy of a file. @throws PolicyError or IoError naming what is wrong */
  named(path: string): Promise<Policy>;
  /** The very policy of this hash: from `path` if that still holds it, else from wherever it is. */
  byHash(hash: string, path?: string): Promise<Chosen | undefined>;
}

/** The method that `auto` takes. */
export const DEFAULT_METHOD = 'ertacache';

/** Of the policies that fit a run, the default: the most faithful one, which computes most. */
export function bestFitting(policies: readonly Policy[], use: PolicyUse): Policy | undefined {
  const computed = ({ data }: Policy): number => [...data.schedule].filter(step => step === '#').length;
  return policies
    .filter(policy => policy.data.name === DEFAULT_METHOD && fits(policy, use))
    .sort((a, b) => computed(b) - computed(a))[0];
}

function fits({ data }: Policy, use: PolicyUse): boolean {
  try {
    requireFits(data, use);
    return true;
  } catch {
    return false;
  }
}

/** Policies that are in memory, by name for those that are asked for by name. */
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
