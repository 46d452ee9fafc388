import * as tf from '@tensorflow/tfjs-core';

/**
 * Nearest-neighbour up-sampling by a whole factor: every pixel becomes a square of itself.
 * @param x `[B, H, W, C]`
 * @returns `[B, factor · H, factor · W, C]`
 */
export function upsampleNearest(x: tf.Tensor, factor: number): tf.Tensor {
  if (factor === 1) return x;
  const [, height, width] = x.shape as [number, number, number, number];
  return tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [height * factor, width * factor]);
}
