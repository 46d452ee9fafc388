import * as tf from '@tensorflow/tfjs-core';
import { EngineError, UnsupportedError } from '../errors';
import { type FusedAfter, fusedOps, hasFused } from './fused';
import { lane } from './lane';
import type { Params } from './params';
import { type RawOp, rawOp, runRaw, runRawBfloat16, TYPE } from './raw-op';

/** What the products of a transformer's blocks are computed in. All else is float32 always. */
export type ComputeType = 'float32' | 'bfloat16';
export const computeTypes: readonly ComputeType[] = ['float32', 'bfloat16'];

const cast = (from: number, to: number): RawOp =>
  rawOp('Cast', { SrcT: ['type', from], DstT: ['type', to], Truncate: ['bool', false] });
/** float32 to bfloat16. */
export const narrow = cast(TYPE.float32, TYPE.bfloat16);
/** And back. */
export const widen = cast(TYPE.bfloat16, TYPE.float32);
const narrowType = ['type', TYPE.bfloat16] as const;
const product = rawOp('MatMul', { T: narrowType, transpose_a: ['bool', false], transpose_b: ['bool', false] });
const batched = (isTurned: boolean): RawOp =>
  rawOp('BatchMatMulV2', { T: narrowType, adj_x: ['bool', false], adj_y: ['bool', isTurned] });
const [times, timesTurned] = [batched(false), batched(true)];
/** Four times the time of oneDNN's. */
const plainSoftmax = rawOp('Softmax', { T: narrowType });

/** Values that TensorFlow holds as bfloat16; tfjs, which has no such type, takes their tensors for float32. */
const narrowed = new WeakSet<object>();

/** Whether TensorFlow holds these values as bfloat16. Such a tensor is good for `bfloat16Product` and nothing else. */
export function isBfloat16(x: tf.Tensor): boolean {
  return narrowed.has(x.dataId);
}

/** The same values as bfloat16, in half the memory, on TensorFlow's side only. The caller's. */
export function toBfloat16(x: tf.Tensor): tf.Tensor {
  const made = runRawBfloat16(narrow, x);
  narrowed.add(made.dataId);
  return made;
}

/**
 * The product of two matrices in bfloat16; sums are kept in float32 by TensorFlow and rounded once.
 * @param a float32
 * @param b bfloat16
 * @returns float32
 */
export function bfloat16Product(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const rounded = runRawBfloat16(product, toBfloat16(a), b);
    return runRaw(widen, rounded);
  });
}

/**
 * `x · W + b`, then GELU where that is asked for, in one pass; sums are kept in float32 by TensorFlow and rounded once.
 * @param x float32 or bfloat16 `[N, in]`
 * @param weight bfloat16 `[in, out]`
 * @param bias float32 `[out]`
 * @param staysNarrow leaves the result bfloat16, good for another product only
 */
export function bfloat16Linear(
  x: tf.Tensor,
  weight: tf.Tensor,
  bias: tf.Tensor,
  { last, staysNarrow }: { last: FusedAfter; staysNarrow: boolean },
): tf.Tensor {
  return tf.tidy(() => {
    const rows = isBfloat16(x) ? x : toBfloat16(x);
    const sum = runRawBfloat16(fusedOps.linearBfloat16[last], rows, weight, toBfloat16(bias));
    if (!staysNarrow) return runRaw(widen, sum);
    narrowed.add(sum.dataId);
    return sum;
  });
}

/** What a layer's product is computed in. @param layer holds `weight` */
export function computeTypeOf(layer: Params): ComputeType {
  return isBfloat16(layer.tensor('weight')) ? 'bfloat16' : 'float32';
}

/**
 * `softmax(q · kᵀ) · v` in bfloat16; sums within a product are kept in float32 by TensorFlow and rounded once.
 * @param q float32 `[B, H, Nq, d]`
 * @param k bfloat16 `[B, H, Nk, d]`
 * @param v bfloat16 `[B, H, Nk, e]`
 * @returns float32 `[B, H, Nq, e]`
 */
export function bfloat16Attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const softmax = hasFused('softmaxBfloat16') ? fusedOps.softmaxBfloat16 : plainSoftmax;
    const weights = runRawBfloat16(softmax, runRawBfloat16(timesTurned, toBfloat16(q), k));
    return runRaw(widen, runRawBfloat16(times, weights, v));
  });
}

/**
 * Refuses a type that the active backend does not compute in.
 * @throws UnsupportedError on backends without TensorFlow, EngineError where TensorFlow gets a product wrong
 */
export function requireComputeType(dtype: ComputeType | undefined): void {
  if (dtype !== 'bfloat16') return;
  if (lane() !== 'native') {
    throw new UnsupportedError(`bfloat16 needs the native backend, and ${tf.getBackend()} is active.`, {
      hint: 'Take the backend native (--backend native; `ertacache engine link` makes it), or leave dtype out (--dtype).',
    });
  }
  let found: string;
  try {
    found = trial().join();
  } catch (error) {
    found = error instanceof Error ? error.message : String(error);
  }
  if (found === '19,22,43,50') return;
  throw new EngineError(`TensorFlow does not multiply bfloat16 here: ${found}.`, {
    hint: 'Omit dtype (--dtype).',
  });
}

/** [[1, 2], [3, 4]] · [[5, 6], [7, 8]]: every number of it is one that bfloat16 has. */
function trial(): number[] {
  return tf.tidy(() => {
    const [a, b] = [tf.tensor2d([1, 2, 3, 4], [2, 2]), tf.tensor2d([5, 6, 7, 8], [2, 2])];
    return Array.from(bfloat16Product(a, toBfloat16(b)).dataSync());
  });
}
