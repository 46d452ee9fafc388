import * as tf from '@tensorflow/tfjs-core';
import { bfloat16Product, isBfloat16 } from './bfloat16';
import { matMul } from './fused';
import type { Params } from './params';

/**
 * `x · W + b` over the last axis.
 * @param p holds `weight` `[in, out]`, which may be bfloat16: the product then is, too; and, where the layer has one, `bias` `[out]`
 * @param x `[…, in]`
 * @returns `[…, out]`
 */
export function linear(p: Params, x: tf.Tensor): tf.Tensor {
  const weight = p.tensor('weight') as tf.Tensor2D;
  const [inputs, outputs] = weight.shape;
  const bias = p.has('bias') ? p.tensor('bias') : undefined;
  // Two dimensions always: a 3-D by 2-D product is 14 times slower on wasm, and no slower elsewhere.
  const rows = tf.reshape(x, [-1, inputs]);
  const product = isBfloat16(weight) ? bfloat16Product(rows, weight) : matMul(rows, weight);
  return tf.reshape(bias ? tf.add(product, bias) : product, [...x.shape.slice(0, -1), outputs]);
}
