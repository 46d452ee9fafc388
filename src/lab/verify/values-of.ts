import * as tf from '@tensorflow/tfjs-core';

/**
 * The values that a tensor has now, even if it is disposed before they arrive: a GPU hands nothing over at once.
 */
export async function valuesOf(tensor: tf.Tensor): Promise<ArrayLike<number>> {
  const own = tf.keep(tensor.clone());
  try {
    return await own.data();
  } finally {
    own.dispose();
  }
}

/** All values, one after the other. */
export async function joined(parts: readonly (Iterable<number> | Promise<ArrayLike<number>>)[]): Promise<number[]> {
  return (await Promise.all(parts)).flatMap(part => Array.from(part));
}
