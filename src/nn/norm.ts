import * as tf from '@tensorflow/tfjs-core';
import { fusedLayerNorm, hasFused } from './fused';
import type { Params } from './params';

/** Normalises the last axis to mean 0 and variance 1, without weights. */
export function layerNorm(x: tf.Tensor, eps: number): tf.Tensor {
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
  if (hasFused('layerNorm') && p.has('bias')) return fusedLayerNorm(x, p.tensor('weight'), p.tensor('bias'), eps);
  const scaled = tf.mul(layerNorm(x, eps), p.tensor('weight'));
  return p.has('bias') ? tf.add(scaled, p.tensor('bias')) : scaled;
}

/** Root-mean-square norm over the last axis, with `weight` `[D]`. */
export function rmsNorm(p: Params, x: tf.Tensor, eps: number): tf.Tensor {
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
  if (!hasFused('layerNorm') || scale.size !== width) {
    return modulate(affine ? affineLayerNorm(affine, x, eps) : layerNorm(x, eps), shift, scale);
  }
  const [factor, summand] = [tf.add(tf.reshape(scale, [width]), 1), tf.reshape(shift, [width])];
  if (!affine) return fusedLayerNorm(x, factor, summand, eps);
  const gamma = tf.mul(affine.tensor('weight'), factor);
  const beta = affine.has('bias') ? tf.add(tf.mul(affine.tensor('bias'), factor), summand) : summand;
  return fusedLayerNorm(x, gamma, beta, eps);
}

/** Splits `[B, k·D]` into k tensors `[B, 1, D]`, ready to be broadcast over tokens. */
export function chunks(x: tf.Tensor, count: number): tf.Tensor[] {
  return tf.split(tf.expandDims(x, 1), count, -1);
}
