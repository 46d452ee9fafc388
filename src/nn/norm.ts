import * as tf from '@tensorflow/tfjs-core';
import type { Params } from '../weights/parameters';

/** Normalises the last axis to mean 0 and variance 1, without weights. */
export function layerNorm(x: tf.Tensor, eps: number): tf.Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.mul(centred, centred), -1, true);
  return tf.mul(centred, tf.rsqrt(tf.add(variance, eps)));
}

/** LayerNorm with `weight` and, where present, `bias`, both `[D]`. */
export function affineLayerNorm(p: Params, x: tf.Tensor, eps: number): tf.Tensor {
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

/** Splits `[B, k·D]` into k tensors `[B, 1, D]`, ready to be broadcast over tokens. */
export function chunks(x: tf.Tensor, count: number): tf.Tensor[] {
  return tf.split(tf.expandDims(x, 1), count, -1);
}
