import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isFile } from '../io/node-file';
import { packageRoot } from '../io/package-root';
import type { Policy, PolicyUse } from './data';
import { readPolicy } from './file';
import { policyHash } from './hash';
import { bestFitting, type PolicySource } from './source';

/** Files of policies that ship with the package, by their names without the extension. */
export async function shippedPolicies(): Promise<Record<string, string>> {
  return Object.fromEntries((await shippedFiles()).map(path => [basename(path, '.json'), path]));
}

async function shippedFiles(): Promise<string[]> {
  const folder = join(packageRoot(), 'calibration');
  const names = await readdir(folder).catch(() => []);
  return names
    .filter(name => name.endsWith('.json'))
    .sort()
    .map(name => join(folder, name));
}

/** The file of a policy that ships with the package, by its name without `.json`, unless a file has that name. */
async function locatePolicy(name: string): Promise<string> {
  const shipped = join(packageRoot(), 'calibration', `${name}.json`);
  return /^[\w.-]+$/.test(name) && !(await isFile(name)) && (await isFile(shipped)) ? shipped : name;
}

/** Policies in files, and those that ship with the package. */
export const policiesOnDisk: PolicySource = {
  fitting: async use => bestFitting(await Promise.all((await shippedFiles()).map(readPolicy)), use),
  named: async name => readPolicy(await locatePolicy(name)),
  async byHash(hash, path) {
    // Whatever lies there by now, it must not hide the right one elsewhere.
    const named =
      path !== undefined && (await isFile(path)) ? await readPolicy(path).catch(() => undefined) : undefined;
    if (path !== undefined && named && policyHash(named) === hash) return { policy: named, path };
    for (const shipped of await shippedFiles()) {
      const policy = await readPolicy(shipped);
      if (policyHash(policy) === hash) return { policy };
    }
    return undefined;
  },
};

/** The shipped default policy that fits a run, if there is one; of several budgets the nearest to half. */
export function defaultPolicy(use: PolicyUse): Promise<Policy | undefined> {
  return policiesOnDisk.fitting(use);
}
