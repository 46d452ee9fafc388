import * as tf from '@tensorflow/tfjs-core';
import { fusedSwish, hasFused } from './fused';
import { fitsRows, type KernelActivation, kernelActivation } from './wasm/kernels';
import { hasKernels } from './wasm/run';

const byKernel = (x: tf.Tensor): boolean => hasKernels() && fitsRows(x.size);

/** Activations that some backends do while they multiply. */
export type Activation = KernelActivation;

export function activate(x: tf.Tensor, activation: Activation): tf.Tensor {
  return activation === 'silu' ? silu(x) : geluTanh(x);
}

/** `x · σ(x)`. */
export function silu(x: tf.Tensor): tf.Tensor {
  if (byKernel(x)) return kernelActivation(x, 'silu');
  return hasFused('swish') ? fusedSwish(x) : tf.mul(x, tf.sigmoid(x));
}

/**
 * GELU in its tanh form, written with a sigmoid: `½(1 + tanh u) = σ(2u)` exactly, and wasm's sigmoid is 17 times
 * faster than its tanh. The cube is two products because `pow` is ten times slower.
 */
export function geluTanh(x: tf.Tensor): tf.Tensor {
  if (byKernel(x)) return kernelActivation(x, 'geluTanh');
  if (hasFused('swish')) return geluBySwish(x);
  const cubic = tf.mul(tf.mul(x, x), tf.mul(x, 0.044715));
  return tf.mul(x, tf.sigmoid(tf.mul(tf.add(x, cubic), 2 * Math.sqrt(2 / Math.PI))));
}

/** The same as `swish(x t) / t` with `t = a + b x²`, at least a: one pass less, and no sigmoid. */
function geluBySwish(x: tf.Tensor): tf.Tensor {
  const a = 2 * Math.sqrt(2 / Math.PI);
  const t = tf.add(tf.mul(tf.mul(x, x), 0.044715 * a), a);
  return tf.div(fusedSwish(tf.mul(x, t)), t);
}

/** GELU in its exact form, `x · Φ(x)`. */
export function gelu(x: tf.Tensor): tf.Tensor {
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
}

/** `x · σ(1.702 x)`, CLIP's approximation. */
export function quickGelu(x: tf.Tensor): tf.Tensor {
  return tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)));
}
