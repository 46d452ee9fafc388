import * as tf from '@tensorflow/tfjs-core';
import { type Activation, activate } from './activation';
import { bfloat16Product, isBfloat16 } from './bfloat16';
import { matMul } from './fused';
import type { Params } from './params';
import { kernelProduct } from './wasm/kernels';
import { hasKernels } from './wasm/run';

/** What follows a product, in one pass with it where the backend can. */
export interface After {
  readonly activation?: Activation;
  /** A factor for every value, of the result's shape; comes last. */
  readonly times?: tf.Tensor;
}

/**
 * `x · W + b` over the last axis.
 * @param p holds `weight` `[in, out]`, which may be bfloat16: the product then is, too; and, where the layer has one, `bias` `[out]`
 * @param x `[…, in]`
 * @returns `[…, out]`
 */
export function linear(p: Params, x: tf.Tensor, after: After = {}): tf.Tensor {
  const weight = p.tensor('weight') as tf.Tensor2D;
  const [inputs, outputs] = weight.shape;
  const bias = p.has('bias') ? p.tensor('bias') : undefined;
  // Two dimensions always: a 3-D by 2-D product is 14 times slower on wasm, and no slower elsewhere.
  const rows = tf.reshape(x, [-1, inputs]);
  const shape = [...x.shape.slice(0, -1), outputs];
  if (hasKernels()) return tf.reshape(kernelProduct(rows, weight, bias, after), shape);
  const product = isBfloat16(weight) ? bfloat16Product(rows, weight) : matMul(rows, weight);
  const sum = tf.reshape(bias ? tf.add(product, bias) : product, shape);
  const activated = after.activation ? activate(sum, after.activation) : sum;
  return after.times ? tf.mul(activated, after.times) : activated;
}
