import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import type { Affine, Combination, Rectification } from '../cache/rectify';
import { PolicyError, UsageError } from '../errors';
import { stageFile, writeFileAtomic } from '../media/atomic';
import { type ByteFile, memoryFile } from '../weights/byte-file';
import { encodeSafetensors, type TensorToWrite } from '../weights/encode-safetensors';
import { openFile, readText } from '../weights/node-file';
import { safetensorsSource } from '../weights/safetensors-source';
import type { TensorSource } from '../weights/source';
import { type Policy, type PolicyData, parsePolicy, policySchema, reusedOf } from './policy-data';

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
 * @throws PolicyError when the policy contradicts itself, so that nothing is written that cannot be read back
 */
export async function writePolicy(path: string, policy: Policy): Promise<void> {
  requirePolicyName(path);
  const coefficients = encodeRectification(policy.rectify);
  const file = basename(path).replace(/\.json$/, '.safetensors');
  const data = parsePolicy(
    {
      ...policy.data,
      rectify: { ...plainRectify(policy.rectify), ...(coefficients && { file, sha256: sha256(coefficients) }) },
    },
    path,
  );
  const json = await stageFile(path, `${JSON.stringify(data, null, 2)}\n`);
  try {
    if (coefficients) await writeFileAtomic(join(dirname(path), file), coefficients);
    await json.commit();
  } catch (error) {
    await json.discard();
    throw error;
  }
}

/** What a policy's JSON says of its rectification, whatever file holds the coefficients. */
function plainRectify(rectify: Rectification): PolicyData['rectify'] {
  return {
    form: rectify.form,
    ...('channelAxis' in rectify && { channelAxis: rectify.channelAxis }),
    ...(rectify.form === 'lsq' && { terms: lsqTermNames(rectify.steps) }),
  };
}

/** @throws PolicyError or IoError naming the file and what is wrong with it */
export async function readPolicy(path: string): Promise<Policy> {
  const text = await readText(path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PolicyError(`${path} is not JSON.`, { hint: 'Make a policy with `ertacache calibrate`.', cause });
  }
  const data = parsePolicy(json, path);
  const { form, file, sha256: hash } = data.rectify;
  if (form === 'off') return { data, rectify: { form } };
  if (!file || !hash) {
    throw new PolicyError(`${path} rectifies but does not name its file of coefficients and that file's SHA-256.`, {
      hint: 'Calibrate it again.',
    });
  }
  const coefficients = join(dirname(path), file);
  const bytes = await readBytes(coefficients);
  // Before it is looked into: a cut or foreign file is told as such, not by the first of its faults.
  if (sha256(bytes) !== hash) {
    throw new PolicyError(`${coefficients} is not the file that the policy was written with.`, {
      hint: 'Copy the .json and the .safetensors of a policy together, or calibrate again.',
    });
  }
  return { data, rectify: await readRectification(memoryFile(coefficients, bytes), data) };
}

async function readBytes(path: string): Promise<Uint8Array> {
  const file = await openFile(path);
  try {
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/** Identifies a policy in receipts, whatever its files are called, written or not. */
export function policyHash({ data, rectify }: Policy): string {
  // Parsed, so that the order in which an object was put together does not count.
  const { measured: _measured, ...decisive } = policySchema.parse({ ...data, rectify: plainRectify(rectify) });
  const coefficients = encodeRectification(rectify);
  return sha256(JSON.stringify([decisive, coefficients ? sha256(coefficients) : ''])).slice(0, 16);
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Rows of one tensor, one a step; computed steps, which need none, hold zeros. */
function rows(values: readonly (readonly number[] | null | undefined)[]): TensorToWrite {
  const width = values.find(v => v)?.length ?? 1;
  const data = Float32Array.from(values.flatMap(v => v ?? Array<number>(width).fill(0)));
  return { dtype: 'F32', shape: [values.length, width], data };
}

function encodeRectification(rectify: Rectification): Uint8Array | undefined {
  switch (rectify.form) {
    case 'off':
      return undefined;
    case 'lsq': {
      const terms = lsqTermNames(rectify.steps);
      return encodeSafetensors(
        new Map([['weights', rows(rectify.steps.map(s => s && terms.map(term => s[term] ?? 0)))]]),
      );
    }
    default: {
      const tensors = new Map([
        ['K', rows(rectify.steps.map(s => s?.K))],
        ['B', rows(rectify.steps.map(s => s?.B))],
      ]);
      return encodeSafetensors(tensors);
    }
  }
}

async function readRectification(file: ByteFile, data: PolicyData): Promise<Rectification> {
  const source = await safetensorsSource(file);
  const reused = reusedOf(data.schedule);
  const { form, channelAxis = 0, terms = [] } = data.rectify;
  if (form === 'lsq') {
    const weights = await matrix(source, 'weights', [reused.length, terms.length], file.name);
    return { form, steps: weights.map((w, i) => (reused[i] ? combination(terms, w) : null)) };
  }
  const K = await matrix(source, 'K', [reused.length, undefined], file.name);
  const B = await matrix(source, 'B', [reused.length, K[0]!.length], file.name);
  const steps = reused.map((r, i): Affine | null => (r ? { K: K[i]!, B: B[i]! } : null));
  return { form: form as 'linear' | 'sigmoid', channelAxis, steps };
}

/** Every term that any step weighs, in a fixed order: the columns of the file. */
function lsqTermNames(steps: readonly (Combination | null)[]): string[] {
  return [...new Set(steps.flatMap(s => Object.keys(s ?? {})))].sort();
}

function combination(terms: readonly string[], weights: readonly number[]): Combination {
  return Object.fromEntries(terms.flatMap((term, i) => (weights[i] === 0 ? [] : [[term, weights[i] as number]])));
}

/** A tensor of coefficients, one row a step. */
async function matrix(
  source: TensorSource,
  name: string,
  [steps, columns]: readonly [number, number | undefined],
  path: string,
): Promise<number[][]> {
  const hint = 'Calibrate the policy again.';
  if (!source.has(name)) throw new PolicyError(`${path} holds no coefficients called ${name}.`, { hint });
  const { shape } = source.entry(name);
  const [rows, width = 0] = shape;
  if (shape.length !== 2 || rows !== steps || width !== (columns ?? Math.max(1, width))) {
    const wanted = columns === undefined ? `${steps} steps` : `[${steps},${columns}]`;
    throw new PolicyError(`${path}: ${name} has shape [${shape}] where the policy needs ${wanted}.`, { hint });
  }
  const values = await source.read(name);
  if (!values.every(Number.isFinite))
    throw new PolicyError(`${path}: ${name} has values that are not finite.`, { hint });
  return Array.from({ length: steps }, (_, i) => [...values.subarray(i * width, (i + 1) * width)]);
}
