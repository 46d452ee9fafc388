import { PolicyError } from '../../errors';
import type { Policy } from '../../policy/data';
import { readPolicy } from '../../policy/file';
import { shippedPolicies } from '../../policy/on-disk';
import { bestFitting, type PolicySource, policyOfHash } from '../../policy/source';

/**
 * The policies of these files beside those that ship with ertacache. A name that a request gives is looked up, and never
 * used as a path.
 */
export function servedPolicies(files: Readonly<Record<string, string>>): PolicySource {
  let loaded: Promise<ReadonlyMap<string, Policy>> | undefined;
  const all = (): Promise<ReadonlyMap<string, Policy>> => {
    loaded ??= readAll(files);
    return loaded;
  };
  return {
    fitting: async (use, budget) => bestFitting([...(await all()).values()], use, budget),
    async named(name) {
      const policies = await all();
      const found = policies.get(name);
      if (found) return found;
      throw new PolicyError(`There is no policy "${name}".`, {
        hint: `Policies: auto, none, ${[...policies.keys()].join(', ')}.`,
      });
    },
    async byHash(hash) {
      const policy = policyOfHash([...(await all()).values()], hash);
      return policy && { policy };
    },
  };
}

async function readAll(files: Readonly<Record<string, string>>): Promise<ReadonlyMap<string, Policy>> {
  const named = Object.entries({ ...(await shippedPolicies()), ...files });
  return new Map(await Promise.all(named.map(async ([name, path]) => [name, await readPolicy(path)] as const)));
}
