import * as tf from '@tensorflow/tfjs-core';
import { type Activation, activate } from './activation';
import { bfloat16Linear, bfloat16Product, isBfloat16 } from './bfloat16';
import { fusedLinear, hasFused, matMul } from './fused';
import type { Params } from './params';
import { kernelProduct } from './wasm/kernels';
import { hasKernels } from './wasm/run';

/** What follows a product, in one pass with it where the backend can. */
export interface After {
  readonly activation?: Activation;
  /** A factor for every value, of the result's shape; comes last. */
  readonly times?: tf.Tensor;
  /** The result of a matrix may stay bfloat16, where the weights are: for a layer that follows and nothing else. */
  readonly staysNarrow?: boolean;
}

/**
 * `x · W + b` over the last axis.
 * @param p holds `weight` `[in, out]`, which may be bfloat16: the product then is, too; and, where the layer has one, `bias` `[out]`
 * @param x `[…, in]`; a matrix may be bfloat16 where the weights are
 * @returns `[…, out]`
 */
export function linear(p: Params, x: tf.Tensor, after: After = {}): tf.Tensor {
  const weight = p.tensor('weight') as tf.Tensor2D;
  const [inputs, outputs] = weight.shape;
  const bias = p.has('bias') ? p.tensor('bias') : undefined;
  // Two dimensions always: a 3-D by 2-D product is 14 times slower on wasm, and no slower elsewhere.
  const rows = x.rank === 2 ? x : tf.reshape(x, [-1, inputs]);
  const shaped = (y: tf.Tensor): tf.Tensor => (x.rank === 2 ? y : tf.reshape(y, [...x.shape.slice(0, -1), outputs]));
  if (hasKernels()) return shaped(kernelProduct(rows, weight, bias, after));

  const { activation, times, staysNarrow = false } = after;
  const isNarrow = isBfloat16(weight);
  if (bias && hasFused(isNarrow ? 'linearBfloat16' : 'linear')) {
    const last = activation === 'geluTanh' ? activation : 'plain';
    const isDone = activation === undefined || last === activation;
    const sum = isNarrow
      ? bfloat16Linear(rows, weight, bias, { last, staysNarrow: staysNarrow && isDone && !times })
      : fusedLinear(rows, weight, bias, last);
    return finished(shaped(sum), isDone ? undefined : activation, times);
  }
  const product = isNarrow ? bfloat16Product(rows, weight) : matMul(rows, weight);
  return finished(shaped(bias ? tf.add(product, bias) : product), activation, times);
}

function finished(x: tf.Tensor, activation: Activation | undefined, times: tf.Tensor | undefined): tf.Tensor {
  const activated = activation ? activate(x, activation) : x;
  return times ? tf.mul(activated, times) : activated;
}
