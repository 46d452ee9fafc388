import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { IoError } from '../errors';
import { isFile } from '../io/node-file';
import { packageRoot } from '../io/package-root';
import type { Policy, PolicyUse } from './data';
import { readPolicy } from './file';
import { bestFitting, type PolicySource, policyOfHash } from './source';

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

const read = new Map<string, Promise<Policy>>();

/** A policy of the package, whose files do not change while it runs: each is read once. */
function readShipped(path: string): Promise<Policy> {
  const known = read.get(path);
  if (known) return known;
  const policy = readPolicy(path);
  read.set(path, policy);
  policy.catch(() => read.delete(path));
  return policy;
}

/** The file of a policy that ships with the package, by its name without `.json`, unless a file has that name. */
async function locatePolicy(name: string): Promise<string> {
  if (!/^[\w.-]+$/.test(name) || name.endsWith('.json') || (await isFile(name))) return name;
  const shipped = await shippedPolicies();
  const path = Object.hasOwn(shipped, name) ? shipped[name] : undefined;
  if (path !== undefined) return path;
  throw new IoError(`There is no file ${name}, and no policy of that name ships with ertacache.`, {
    hint: `Shipped are ${Object.keys(shipped).join(', ')}; or give the .json of a policy.`,
  });
}

/** A policy in a file, or one that ships with the package, by its name. @throws IoError where there is neither */
export const readNamedPolicy = async (name: string): Promise<Policy> => readPolicy(await locatePolicy(name));

/** Policies in files, and those that ship with the package. */
export const policiesOnDisk: PolicySource = {
  fitting: async (use, budget) => bestFitting(await Promise.all((await shippedFiles()).map(readShipped)), use, budget),
  named: readNamedPolicy,
  async byHash(hash, path) {
    // Whatever lies there by now, it must not hide the right one elsewhere.
    const named =
      path !== undefined && (await isFile(path)) ? await readPolicy(path).catch(() => undefined) : undefined;
    const own = named && policyOfHash([named], hash);
    if (path !== undefined && own) return { policy: own, path };
    for (const shipped of await shippedFiles()) {
      const policy = policyOfHash([await readShipped(shipped)], hash);
      if (policy) return { policy };
    }
    return undefined;
  },
};

/** The shipped default policy that fits a run, if there is one; of several budgets the nearest to half. */
export function defaultPolicy(use: PolicyUse): Promise<Policy | undefined> {
  return policiesOnDisk.fitting(use);
}
