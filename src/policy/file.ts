import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UsageError } from '../errors';
import { requireText } from '../io/arguments';
import { commitAll, stageFile } from '../io/atomic';
import { openFile, readText } from '../io/node-file';
import { hasJsonMark, requireOwn } from '../io/own-file';
import { sha256 } from '../io/sha256';
import { requireWritable } from '../io/writable';
import { deserializePolicy, serializePolicy } from './bytes';
import { isCoefficients } from './coefficients';
import { type Policy, type PolicyData, policySchema } from './data';
import { requirePolicy } from './require-policy';

/** More than the JSON of any policy. */
const LARGEST = 10_000_000;

/** @throws UsageError unless a policy can be written under this name: its coefficients take the name's beginning */
export function requirePolicyName(path: string): void {
  requireText('path', path, 'the name of a file');
  if (/[^/\\]\.json$/.test(path)) return;
  throw new UsageError(`The policy name ${path} does not end with .json.`, {
    hint: 'Use a name such as my-policy.json; coefficients go into my-policy.safetensors beside it.',
  });
}

/** Where the coefficients of a policy lie. */
const coefficientsPath = (path: string): string => path.replace(/\.json$/, '.safetensors');

/**
 * Tries whether a policy could be written under this name.
 * @param rectifies whether it will have coefficients
 * @throws UsageError or IoError saying why it could not: the name, the disk, or a file there that is not a policy's
 */
export async function requirePolicyWritable(path: string, rectifies: boolean): Promise<void> {
  requirePolicyName(path);
  await requireWritable(path);
  await requireOwnPolicy(path, rectifies);
}

/** The files of a policy replace those of a policy of the same name, and nothing else. */
async function requireOwnPolicy(path: string, rectifies: boolean): Promise<void> {
  await requireOwn(path, bytes => hasJsonMark(bytes, 'format', 'ertacache-policy'));
  if (!rectifies) return;
  const beside = coefficientsPath(path);
  // Coefficients that older versions wrote have no mark; the policy beside them vouches for them.
  const named = (await rectifyOf(path))?.sha256;
  await requireOwn(beside, bytes => isCoefficients(bytes) || sha256(bytes) === named);
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    const other = join(dirname(path), name);
    if (!name.endsWith('.json') || name === basename(path) || (await rectifyOf(other))?.file !== basename(beside))
      continue;
    throw new UsageError(`${beside} belongs to the policy ${other} and is not replaced.`, {
      hint: 'Choose another name.',
    });
  }
}

/** What a file says of its coefficients, if it is a policy. */
async function rectifyOf(path: string): Promise<PolicyData['rectify'] | undefined> {
  try {
    return policySchema.parse(JSON.parse(await readText(path, LARGEST))).rectify;
  } catch {
    return undefined;
  }
}

/**
 * Writes `path` (JSON) and, where the policy rectifies, the coefficients beside it: both or none. The JSON, which
 * vouches for the coefficients, appears last.
 * @param path ends in `.json`; the coefficients' file has the same name with `.safetensors`
 * @param policy a calibrated policy
 * @throws PolicyError when the policy contradicts itself, so that nothing is written that cannot be read back
 * @throws UsageError for a name that does not end in `.json`, and when a file of that name is not a policy's
 * @throws IoError when a file cannot be written
 */
export async function writePolicy(path: string, policy: Policy): Promise<void> {
  requirePolicyName(path);
  requirePolicy('policy', policy);
  const { json: text, coefficients } = await serializePolicy(policy, path);
  await requireOwnPolicy(path, coefficients !== undefined);
  const json = await stageFile(path, text);
  try {
    await commitAll(path, [...(coefficients ? [await stageFile(coefficientsPath(path), coefficients)] : []), json]);
  } catch (error) {
    await json.discard();
    throw error;
  }
}

/**
 * Reads a policy that `writePolicy` wrote.
 * @param path the JSON file; coefficients are read from the file beside it that the JSON names
 * @returns the policy, checked
 * @throws PolicyError or IoError naming the file and what is wrong with it
 */
export async function readPolicy(path: string): Promise<Policy> {
  requireText('path', path, 'the name of a file');
  const beside = async (file: string) => {
    const name = join(dirname(path), file);
    return { name, bytes: await readBytes(name) };
  };
  return deserializePolicy(await readText(path), beside, path);
}

async function readBytes(path: string): Promise<Uint8Array> {
  const file = await openFile(path);
  try {
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}
