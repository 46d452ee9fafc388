import type { Affine, Combination, Rectification } from '../cache/rectify';
import { PolicyError } from '../errors';
import { type ByteFile, memoryFile } from '../io/byte-file';
import { encodeSafetensors, type TensorToWrite } from '../weights/encode-safetensors';
import { safetensorsSource } from '../weights/safetensors-source';
import type { TensorSource } from '../weights/source';
import { type PolicyData, reusedOf } from './data';

/** What a policy's JSON says of its rectification, whatever file holds the coefficients. */
export function plainRectify(rectify: Rectification): PolicyData['rectify'] {
  return {
    form: rectify.form,
    ...('channelAxis' in rectify && { channelAxis: rectify.channelAxis }),
    ...(rectify.form === 'lsq' && { terms: lsqTermNames(rectify.steps) }),
  };
}

/** The mark in the metadata of a file of coefficients: nothing else is ever replaced by one. */
const MARK = { format: 'ertacache-policy' };

/**
 * The coefficients as a safetensors file; nothing where nothing is rectified. A policy's hash is of these bytes.
 */
export function encodeRectification(rectify: Rectification): Uint8Array<ArrayBuffer> | undefined {
  const tensors = tensorsOf(rectify);
  return tensors && encodeSafetensors(tensors);
}

/** The tensors of a rectification by their names. */
function tensorsOf(rectify: Rectification): ReadonlyMap<string, TensorToWrite> | undefined {
  switch (rectify.form) {
    case 'off':
      return undefined;
    case 'lsq': {
      const terms = lsqTermNames(rectify.steps);
      return new Map([['weights', rows(rectify.steps.map(s => s && terms.map(term => s[term] ?? 0)))]]);
    }
    default:
      return new Map([
        ['K', rows(rectify.steps.map(s => s?.K))],
        ['B', rows(rectify.steps.map(s => s?.B))],
      ]);
  }
}

/**
 * The file of coefficients as it is stored.
 * @param others rectifications that lie in the same file, by what their tensors' names end with
 */
export function encodeCoefficients(
  rectify: Rectification,
  others: ReadonlyMap<string, Rectification> = new Map(),
): Uint8Array<ArrayBuffer> | undefined {
  const tensors = [['', rectify] as const, ...others].flatMap(([end, each]) =>
    [...(tensorsOf(each) ?? [])].map(([name, tensor]) => [name + end, tensor] as const),
  );
  return tensors.length > 0 ? encodeSafetensors(new Map(tensors), MARK) : undefined;
}

/** Whether these are the bytes of a file of coefficients, and not of other safetensors. */
export function isCoefficients(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return false;
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  try {
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    return header.__metadata__?.format === MARK.format;
  } catch {
    return false;
  }
}

/**
 * The rectification that a policy's JSON and its file of coefficients describe.
 * @param end what the names of its tensors end with
 * @throws PolicyError or CheckpointError naming the file and what is wrong with it
 */
export async function decodeRectification(
  name: string,
  bytes: Uint8Array,
  data: PolicyData,
  end = '',
): Promise<Rectification> {
  const file: ByteFile = memoryFile(name, bytes);
  const source = await safetensorsSource(file);
  const reused = reusedOf(data.schedule);
  const { form, channelAxis = 0, terms = [] } = data.rectify;
  if (form === 'lsq') {
    requireWrittenOrder(terms, name);
    const weights = await matrix(source, `weights${end}`, [reused.length, terms.length], file.name);
    // A row of zeros is a step that nothing is corrected at.
    return { form, steps: weights.map(w => (w.some(v => v !== 0) ? combination(terms, w) : null)) };
  }
  const K = await matrix(source, `K${end}`, [reused.length, undefined], file.name);
  const B = await matrix(source, `B${end}`, [reused.length, K[0]!.length], file.name);
  const steps = reused.map((r, i): Affine | null => (r ? { K: K[i]!, B: B[i]! } : null));
  return { form: form as 'linear' | 'sigmoid', channelAxis, steps };
}

/** Rows of one tensor, one a step; steps that nothing is corrected at hold zeros. */
function rows(values: readonly (readonly number[] | null | undefined)[]): TensorToWrite {
  const width = values.find(v => v)?.length ?? 1;
  const data = Float32Array.from(values.flatMap(v => v ?? Array<number>(width).fill(0)));
  return { dtype: 'F32', shape: [values.length, width], data };
}

/** Every term that any step weighs, in a fixed order: the columns of the file. Reading drops weights of zero too. */
function lsqTermNames(steps: readonly (Combination | null)[]): string[] {
  const weighed = (step: Combination | null) => Object.keys(step ?? {}).filter(term => step?.[term] !== 0);
  return [...new Set(steps.flatMap(weighed))].sort();
}

/** @throws PolicyError unless terms are those of a written file: another order would weigh one by another's weight */
function requireWrittenOrder(terms: readonly string[], name: string): void {
  if (terms.every((term, i) => i === 0 || (terms[i - 1] as string) < term)) return;
  throw new PolicyError(`The terms of the policy of ${name} are not each named once and in their order.`, {
    hint: 'Put the .json back as it was written, or calibrate the policy again.',
  });
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
