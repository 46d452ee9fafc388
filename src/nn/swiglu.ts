import * as tf from '@tensorflow/tfjs-core';
import { silu } from './activation';
import { linear } from './linear';
import type { Params } from './params';

/** `w2(SiLU(w1 x) · w3 x)`, the gated feed-forward layer of Llama and its kin. @param x `[…, D]` */
export function swiGlu(p: Params, x: tf.Tensor): tf.Tensor {
  return linear(p.at('w2'), tf.mul(silu(linear(p.at('w1'), x)), linear(p.at('w3'), x)));
}
