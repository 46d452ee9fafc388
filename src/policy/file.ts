import { basename, dirname, join } from 'node:path';
import { UsageError } from '../errors';
import { stageFile, writeFileAtomic } from '../io/atomic';
import { openFile, readText } from '../io/node-file';
import { deserializePolicy, serializePolicy } from './bytes';
import type { Policy } from './data';

/** @throws UsageError unless a policy can be written under this name: its coefficients take the name's beginning */
export function requirePolicyName(path: string): void {
  if (/[^/\\]\.json$/.test(path)) return;
  throw new UsageError(`The policy name ${path} does not end with .json.`, {
    hint: 'Use a name such as my-policy.json; coefficients go into my-policy.safetensors beside it.',
  });
}

/**
 * Writes `path` (JSON) and, where the policy rectifies, the coefficients beside it; the JSON, which vouches for the
 * coefficients, appears last.
 * @param path ends in `.json`; the coefficients' file has the same name with `.safetensors`
 * @param policy a calibrated policy
 * @throws PolicyError when the policy contradicts itself, so that nothing is written that cannot be read back
 * @throws UsageError for a name that does not end in `.json`
 * @throws IoError when a file cannot be written
 */
export async function writePolicy(path: string, policy: Policy): Promise<void> {
  requirePolicyName(path);
  const { json: text, coefficients } = await serializePolicy(policy, path);
  const json = await stageFile(path, text);
  try {
    if (coefficients) {
      const file = basename(path).replace(/\.json$/, '.safetensors');
      await writeFileAtomic(join(dirname(path), file), coefficients);
    }
    await json.commit();
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
