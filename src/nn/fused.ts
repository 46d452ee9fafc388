import * as tf from '@tensorflow/tfjs-core';
import { lane } from './lane';
import { type RawOp, rawOp, runRaw, TYPE } from './raw-op';
import { kernelProduct } from './wasm/kernels';
import { hasKernels } from './wasm/run';

/**
 * Operations that TensorFlow's oneDNN does in one pass, or faster than through tfjs's own kernels. A wrong one can end
 * the process, so each is used only where it was allowed by name, after a trial in a process of its own.
 */
export const fusedNames = [
  'matMul',
  'softmax',
  'softmaxBfloat16',
  'layerNorm',
  'swish',
  'complexTurn',
  'linear',
  'linearBfloat16',
] as const;
export type FusedName = (typeof fusedNames)[number];

const float = ['type', TYPE.float32] as const;
// Kernels with this label take plain tensors, not the library's own layouts.
const label = { _kernel: ['string', 'MklNameChangeOp'] } as const;

/** A product of matrices with what follows it. tfjs-node's own binding cannot pass the list; a linked one can. */
const linear = (type: number, ...after: string[]): RawOp =>
  rawOp('_MklNativeFusedMatMul', {
    T: ['type', type],
    num_args: ['int', 1],
    fused_ops: ['string', ['BiasAdd', ...after].join()],
    transpose_a: ['bool', false],
    transpose_b: ['bool', false],
    ...label,
  });
const linears = (type: number) => ({ plain: linear(type), geluTanh: linear(type, 'GeluApproximate') });

/** The operations themselves; trials run them too. */
export const fusedOps = {
  matMul: rawOp('_MklMatMul', { T: float, transpose_a: ['bool', false], transpose_b: ['bool', false], ...label }),
  softmax: rawOp('_MklSoftmax', { T: float, ...label }),
  softmaxBfloat16: rawOp('_MklSoftmax', { T: ['type', TYPE.bfloat16], ...label }),
  layerNorm: (epsilon: number): RawOp =>
    rawOp('_MklLayerNorm', { T: float, epsilon: ['float', epsilon], _kernel: ['string', ''] }),
  linear: linears(TYPE.float32),
  linearBfloat16: linears(TYPE.bfloat16),
  swish: rawOp('_MklSwish', { T: float, _kernel: ['string', ''] }),
  asComplex: rawOp('Bitcast', { T: float, type: ['type', TYPE.complex64] }),
  timesComplex: rawOp('Mul', { T: ['type', TYPE.complex64] }),
  asFloat: rawOp('Bitcast', { T: ['type', TYPE.complex64], type: float }),
} as const;

/** What a product's pass can end with. */
export type FusedAfter = 'plain' | 'geluTanh';

/** By backend: what may be used there. */
const allowed = new WeakMap<object, ReadonlySet<FusedName>>();

/** Lets layers use these operations on that backend, and no others. */
export function allowFused(backend: object, names: Iterable<FusedName>): void {
  allowed.set(backend, new Set(names));
}

/** Whether the active backend has the operation, and layers may use it. */
export function hasFused(name: FusedName): boolean {
  return lane() === 'native' && (allowed.get(tf.backend())?.has(name) ?? false);
}

const rowsOf = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [-1, x.shape.at(-1) as number]);

/** The product of two matrices. */
export function matMul(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  if (hasKernels()) return kernelProduct(a, b);
  return hasFused('matMul') ? runRaw(fusedOps.matMul, a, b) : tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D);
}

/** `x · W + b` of matrices and a row, then GELU where that is asked for, in one pass. */
export function fusedLinear(x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor, after: FusedAfter): tf.Tensor {
  return runRaw(fusedOps.linear[after], x, weight, bias);
}

/** Softmax over the last axis. */
export function softmax(x: tf.Tensor): tf.Tensor {
  return hasFused('softmax') ? runRaw(fusedOps.softmax, x) : tf.softmax(x);
}

/** `(x - mean) / √(variance + ε) · gamma + beta` over the last axis; gamma and beta `[D]`. */
export function fusedLayerNorm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, eps: number): tf.Tensor {
  return tf.reshape(runRaw(fusedOps.layerNorm(eps), rowsOf(x), gamma, beta), x.shape);
}

/** `x · σ(x)`. */
export function fusedSwish(x: tf.Tensor): tf.Tensor {
  return runRaw(fusedOps.swish, x);
}

/** Adjacent pairs of the last axis as complex numbers, times complex numbers that broadcast to them. */
export function turnPairs(x: tf.Tensor, by: tf.Tensor): tf.Tensor {
  const pairs = tf.reshape(x, [...x.shape.slice(0, -1), (x.shape.at(-1) as number) / 2, 2]);
  const turned = runRaw(fusedOps.timesComplex, runRaw(fusedOps.asComplex, pairs), by);
  return tf.reshape(runRaw(fusedOps.asFloat, turned), x.shape);
}
