import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import type { Affine, Combination, Rectification } from '../cache/rectify';
import { LSQ_TERMS } from '../cache/rectify';
import { PolicyError } from '../errors';
import { stageFile } from '../media/atomic';
import { encodeSafetensors, type TensorToWrite } from '../weights/encode-safetensors';
import { openFile, readText } from '../weights/node-file';
import { safetensorsSource } from '../weights/safetensors-source';
import type { TensorSource } from '../weights/source';
import { type Policy, type PolicyData, parsePolicy, reusedOf } from './policy-data';

/** Writes `path` (JSON) and, where the policy rectifies, the coefficients beside it; both appear together. */
export async function writePolicy(path: string, policy: Policy): Promise<void> {
  const coefficients = encodeRectification(policy.rectify);
  const file = basename(path).replace(/\.json$/, '.safetensors');
  const data: PolicyData = {
    ...policy.data,
    rectify: {
      form: policy.rectify.form,
      ...('channelAxis' in policy.rectify && { channelAxis: policy.rectify.channelAxis }),
      ...(coefficients && { file, sha256: sha256(coefficients) }),
    },
  };
  const staged = coefficients ? [await stageFile(join(dirname(path), file), coefficients)] : [];
  staged.push(await stageFile(path, `${JSON.stringify(data, null, 2)}\n`));
  for (const part of staged) await part.commit();
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
  if (data.rectify.form === 'off') return { data, rectify: { form: 'off' } };
  if (!data.rectify.file) throw new PolicyError(`${path} rectifies but names no file of coefficients.`);
  return { data, rectify: await readRectification(join(dirname(path), data.rectify.file), data) };
}

/** Identifies a policy in receipts, whatever its file is called. */
export function policyHash({ data, rectify }: Policy): string {
  const { measured: _measured, ...decisive } = data;
  return sha256(JSON.stringify([decisive, rectify])).slice(0, 16);
}

function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Rows of one tensor, one a step; computed steps, which need none, hold zeros. */
function rows(values: readonly (readonly number[] | null)[]): TensorToWrite {
  const width = values.find(v => v !== null)?.length ?? 1;
  const data = Float32Array.from(values.flatMap(v => v ?? Array<number>(width).fill(0)));
  return { dtype: 'F32', shape: [values.length, width], data };
}

function encodeRectification(rectify: Rectification): Uint8Array | undefined {
  switch (rectify.form) {
    case 'off':
      return undefined;
    case 'lsq': {
      const weights = rows(rectify.steps.map(s => s && LSQ_TERMS.map(term => s[term] ?? 0)));
      return encodeSafetensors(new Map([['weights', weights]]), { terms: LSQ_TERMS.join(' ') });
    }
    default: {
      const tensors = new Map([
        ['K', rows(rectify.steps.map(s => s && s.K))],
        ['B', rows(rectify.steps.map(s => s && s.B))],
      ]);
      return encodeSafetensors(tensors);
    }
  }
}

async function readRectification(path: string, data: PolicyData): Promise<Rectification> {
  const file = await openFile(path);
  const source = await safetensorsSource(file);
  try {
    const bytes = await file.read(0, file.size);
    if (data.rectify.sha256 && sha256(bytes) !== data.rectify.sha256) {
      throw new PolicyError(`${path} is not the file that the policy was written with.`, {
        hint: 'Copy the .json and the .safetensors of a policy together, or calibrate again.',
      });
    }
    const reused = reusedOf(data.schedule);
    if (data.rectify.form === 'lsq') {
      const weights = await matrix(source, 'weights', reused, path);
      return { form: 'lsq', steps: weights.map((w, i) => (reused[i] ? combination(w) : null)) };
    }
    const [K, B] = [await matrix(source, 'K', reused, path), await matrix(source, 'B', reused, path)];
    const steps = reused.map((r, i): Affine | null => (r ? { K: K[i]!, B: B[i]! } : null));
    return { form: data.rectify.form as 'linear' | 'sigmoid', channelAxis: data.rectify.channelAxis ?? 0, steps };
  } finally {
    await source.close();
  }
}

function combination(weights: readonly number[]): Combination {
  return Object.fromEntries(LSQ_TERMS.map((term, i) => [term, weights[i] as number])) as Combination;
}

async function matrix(
  source: TensorSource,
  name: string,
  reused: readonly boolean[],
  path: string,
): Promise<number[][]> {
  const { shape } = source.entry(name);
  if (shape.length !== 2 || shape[0] !== reused.length) {
    throw new PolicyError(`${path}: ${name} has shape [${shape}] for a policy of ${reused.length} steps.`);
  }
  const values = await source.read(name);
  if (!values.every(Number.isFinite)) throw new PolicyError(`${path}: ${name} has values that are not finite.`);
  const width = shape[1] as number;
  return reused.map((_, i) => [...values.subarray(i * width, (i + 1) * width)]);
}
