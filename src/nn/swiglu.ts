import type * as tf from '@tensorflow/tfjs-core';
import { linear } from './linear';
import type { Params } from './params';

/** `w2(SiLU(w1 x) · w3 x)`, the gated feed-forward layer of Llama and its kin. @param x `[…, D]` */
export function swiGlu(p: Params, x: tf.Tensor): tf.Tensor {
  const gate = linear(p.at('w1'), x, { activation: 'silu' });
  return linear(p.at('w2'), linear(p.at('w3'), x, { times: gate }));
}
