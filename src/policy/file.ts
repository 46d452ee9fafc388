import { basename, dirname, join } from 'node:path';
import { UsageError } from '../errors';
import { requireText } from '../io/arguments';
import { stageFile, writeFileAtomic } from '../io/atomic';
import { openFile, readText } from '../io/node-file';
import { deserializePolicy, serializePolicy } from './bytes';
import type { Policy } from './data';
import { requirePolicy } from './require-policy';

/** @throws UsageError unless a policy can be written under this name: its coefficients take the name's beginning */
export function requirePolicyName(path: string): void {
  requireText('path', path, 'the name of a file');
  if (/[^/\\]\.json$/.test(path)) return;
  throw new UsageError(`The policy name ${path} does not end with .json.`, {
    hint: 'Use a name such as my-policy.json; coefficients go into my-policy.safetensors beside it.',
  });
}

/**
 * Writes `path` (JSON) and, where the policy rectifies, the coefficients beside it; the JSON, which vouches for the
 * coefficients, appears last.
 * @throws PolicyError when the policy contradicts itself, so that nothing is written that cannot be read back
 */
export async function writePolicy(path: string, policy: Policy): Promise<void> {
  requirePolicyName(path);
  requirePolicy('policy', policy);
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

/** @throws PolicyError or IoError naming the file and what is wrong with it */
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
