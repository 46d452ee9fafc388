import { readPolicy } from '../policy/file';
import { policyHash } from '../policy/hash';
import { shippedPolicies } from '../policy/on-disk';
import { namedPolicies } from '../server/server';

/**
 * Content hashes of the policies that requests may name: jobs say which version of one they want.
 * @param files policies beside those that ship with ertacache
 */
export async function policyHashes(files: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const all = Object.entries({ ...(await shippedPolicies()), ...(await namedPolicies(files)) });
  const hashed = all.map(async ([name, path]) => [name, policyHash(await readPolicy(path))] as const);
  return Object.fromEntries(await Promise.all(hashed));
}
