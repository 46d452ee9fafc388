import * as tf from '@tensorflow/tfjs-core';
import type { Params } from '../weights/parameters';
import { matMul } from './fused';

/**
 * `x · W + b` over the last axis.
 * @param p holds `weight` `[in, out]` and, where the layer has one, `bias` `[out]`
 * @param x `[…, in]`
 * @returns `[…, out]`
 */
export function linear(p: Params, x: tf.Tensor): tf.Tensor {
  const weight = p.tensor('weight') as tf.Tensor2D;
  const [inputs, outputs] = weight.shape;
  const bias = p.has('bias') ? p.tensor('bias') : undefined;
  // Two dimensions always: a 3-D by 2-D product is 14 times slower on wasm, and no slower elsewhere.
  const rows = tf.reshape(x, [-1, inputs]);
  const product = bias ? tf.add(matMul(rows, weight), bias) : matMul(rows, weight);
  return tf.reshape(product, [...x.shape.slice(0, -1), outputs]);
}
