import * as tf from '@tensorflow/tfjs-core';
import { correlate } from './conv2d';
import type { Params } from './params';

/**
 * A video as one tensor `[B, H, W, C]` a frame.
 *
 * Convolutions over time, caches of past frames, doubling and halving of the frame rate are then list operations
 * that copy nothing, and a tensor stays small enough for the allocator to hand the same memory out again: norms and
 * activations take half the time that they take on the whole clip.
 */
export type Frames = readonly tf.Tensor[];

/**
 * One frame of a three-dimensional convolution: the sum of two-dimensional ones, one for each tap of time.
 *
 * This form serves every backend. TensorFlow takes the same time for it as for its conv3d and needs no padded copy
 * of the clip; on wasm it runs at the speed of conv2d, where the conv3d kernel is 70 times slower.
 * @param p holds `weight` `[kt, kh, kw, in, out]` and, where the layer has one, `bias` `[out]`
 * @param window the kt frames under the kernel, oldest first; `undefined` is a frame of zeros
 * @returns `[B, H, W, out]`
 */
export function conv3dFrame(p: Params, window: readonly (tf.Tensor | undefined)[]): tf.Tensor {
  const weight = p.tensor('weight');
  const [, ...kernel] = weight.shape;
  const parts = window.flatMap((frame, tap) => {
    if (!frame) return [];
    const taps = tf.slice(weight, [tap, 0, 0, 0, 0], [1, ...kernel] as [number, number, number, number, number]);
    return [correlate(tf.reshape(taps, kernel), frame)];
  });
  const sum = parts.length === 1 ? (parts[0] as tf.Tensor) : tf.addN(parts);
  return p.has('bias') ? tf.add(sum, p.tensor('bias')) : sum;
}
