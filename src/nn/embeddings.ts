import * as tf from '@tensorflow/tfjs-core';
import { circular } from './circular';
import { linear } from './linear';
import type { Params } from './params';

/**
 * Sinusoidal embedding, cosines first: `[cos(t f₀) …, sin(t f₀) …]` with `f_i = 10000^(-i / (dim / 2))`.
 * @param t `[B]`, any unit
 * @returns `[B, dim]`
 */
export function sinusoidal(t: tf.Tensor, dim: number): tf.Tensor {
  const half = dim / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) => Math.exp((-Math.log(10_000) * i) / half));
  const { cos, sin } = circular(tf.mul(tf.reshape(t, [-1, 1]), tf.tensor2d(frequencies, [1, half])));
  return tf.concat([cos, sin], -1);
}

/** `linear_2(SiLU(linear_1(x)))`: how diffusers lifts times, guidance and pooled text to the model's width. */
export function siluMlp(p: Params, x: tf.Tensor): tf.Tensor {
  return linear(p.at('linear_2'), linear(p.at('linear_1'), x, { activation: 'silu' }));
}
