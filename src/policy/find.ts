import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../io/package-root';
import { computedSteps, type Policy, type PolicyUse, requireFits, reusedOf } from './data';
import { policyHash, readPolicy } from './file';

/** The method that `auto` takes. */
export const DEFAULT_METHOD = 'ertacache';

/** Files of policies that ship with the package. */
async function shippedPolicies(): Promise<string[]> {
  const folder = join(packageRoot(), 'calibration');
  const names = await readdir(folder).catch(() => []);
  return names
    .filter(name => name.endsWith('.json'))
    .sort()
    .map(name => join(folder, name));
}

/** The shipped default policy that fits a run, if there is one; of several budgets the most faithful. */
export async function defaultPolicy(use: PolicyUse): Promise<Policy | undefined> {
  const policies = await Promise.all((await shippedPolicies()).map(readPolicy));
  const fitting = policies.filter(policy => policy.data.name === DEFAULT_METHOD && fits(policy, use));
  return fitting.sort((a, b) => computedOf(b) - computedOf(a))[0];
}

const computedOf = ({ data }: Policy): number => computedSteps(reusedOf(data.schedule));

/** The shipped policy with this hash, if there is one. */
export async function policyByHash(hash: string): Promise<Policy | undefined> {
  for (const path of await shippedPolicies()) {
    const policy = await readPolicy(path);
    if (policyHash(policy) === hash) return policy;
  }
  return undefined;
}

function fits({ data }: Policy, use: PolicyUse): boolean {
  try {
    requireFits(data, use);
    return true;
  } catch {
    return false;
  }
}
