import * as tf from '@tensorflow/tfjs-core';
import { fusedLayerNorm, hasFused } from './fused';
import type { Params } from './params';
import { fitsRows, kernelGated, kernelLayerNorm, kernelRmsNorm } from './wasm/kernels';
import { hasKernels } from './wasm/run';

const byKernel = (x: tf.Tensor): boolean => hasKernels() && fitsRows(x.shape.at(-1) as number);
/** The parameters that a module has of these two. */
const affineOf = (p: Params) => ({
  weight: p.tensor('weight'),
  ...(p.has('bias') ? { bias: p.tensor('bias') } : {}),
});

/** Normalises the last axis to mean 0 and variance 1, without weights. */
export function layerNorm(x: tf.Tensor, eps: number): tf.Tensor {
  if (byKernel(x)) return kernelLayerNorm(x, eps);
  if (hasFused('layerNorm')) {
    const width = x.shape.at(-1) as number;
    return fusedLayerNorm(x, tf.ones([width]), tf.zeros([width]), eps);
  }
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.mul(centred, centred), -1, true);
  return tf.mul(centred, tf.rsqrt(tf.add(variance, eps)));
}

/** LayerNorm with `weight` and, where present, `bias`, both `[D]`. */
export function affineLayerNorm(p: Params, x: tf.Tensor, eps: number): tf.Tensor {
  if (byKernel(x)) return kernelLayerNorm(x, eps, affineOf(p));
  if (hasFused('layerNorm') && p.has('bias')) return fusedLayerNorm(x, p.tensor('weight'), p.tensor('bias'), eps);
  const scaled = tf.mul(layerNorm(x, eps), p.tensor('weight'));
  return p.has('bias') ? tf.add(scaled, p.tensor('bias')) : scaled;
}

/** Root-mean-square norm over the last axis, with `weight` `[D]`. */
export function rmsNorm(p: Params, x: tf.Tensor, eps: number): tf.Tensor {
  if (byKernel(x)) return kernelRmsNorm(x, p.tensor('weight'), eps);
  const meanSquare = tf.mean(tf.mul(x, x), -1, true);
  return tf.mul(tf.mul(x, tf.rsqrt(tf.add(meanSquare, eps))), p.tensor('weight'));
}

/**
 * Adaptive LayerNorm's modulation, `x · (1 + scale) + shift`.
 * @param x `[B, N, D]`
 * @param shift `[B, 1, D]`
 * @param scale `[B, 1, D]`
 */
export function modulate(x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor): tf.Tensor {
  return tf.add(tf.mul(x, tf.add(scale, 1)), shift);
}

/**
 * `modulate(layerNorm(x), shift, scale)`, in one pass where all tokens share one shift and scale and the backend can:
 * they are then the weights of the norm.
 * @param affine the norm's own `weight` and `bias`, where it has them
 */
export function modulatedLayerNorm(
  x: tf.Tensor,
  shift: tf.Tensor,
  scale: tf.Tensor,
  eps: number,
  affine?: Params,
): tf.Tensor {
  const width = x.shape.at(-1) as number;
  if (byKernel(x) && isOneRowAnImage(x, shift) && isOneRowAnImage(x, scale)) {
    return kernelLayerNorm(x, eps, { ...(affine ? affineOf(affine) : {}), scale, shift });
  }
  if (!hasFused('layerNorm') || scale.size !== width) {
    return modulate(affine ? affineLayerNorm(affine, x, eps) : layerNorm(x, eps), shift, scale);
  }
  const [factor, summand] = [tf.add(tf.reshape(scale, [width]), 1), tf.reshape(shift, [width])];
  if (!affine) return fusedLayerNorm(x, factor, summand, eps);
  const gamma = tf.mul(affine.tensor('weight'), factor);
  const beta = affine.has('bias') ? tf.add(tf.mul(affine.tensor('bias'), factor), summand) : summand;
  return fusedLayerNorm(x, gamma, beta, eps);
}

/** Whether `by` `[B, 1, D]` has one row for every image of `x` `[B, N, D]`. */
function isOneRowAnImage(x: tf.Tensor, by: tf.Tensor): boolean {
  return x.rank === 3 && by.rank === 3 && by.shape[0] === x.shape[0] && by.shape[1] === 1 && by.shape[2] === x.shape[2];
}

/**
 * `x + gate · change`, how a block adds what it has computed.
 * @param x `[B, N, D]`
 * @param gate `[B, 1, D]`
 * @param change `[B, N, D]`
 */
export function gated(x: tf.Tensor, gate: tf.Tensor, change: tf.Tensor): tf.Tensor {
  if (byKernel(x) && x.size === change.size && isOneRowAnImage(x, gate)) return kernelGated(x, gate, change);
  return tf.add(x, tf.mul(gate, change));
}

/** Splits `[B, k·D]` into k tensors `[B, 1, D]`, ready to be broadcast over tokens. */
export function chunks(x: tf.Tensor, count: number): tf.Tensor[] {
  return tf.split(tf.expandDims(x, 1), count, -1);
}
