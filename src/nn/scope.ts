import * as tf from '@tensorflow/tfjs-core';

/** `tf.tidy` for any object that holds tensors: everything made inside and not returned is disposed. */
export function tidy<T>(work: () => T): T {
  return tf.tidy(work as () => tf.TensorContainer) as T;
}

/** Disposes every tensor inside `container`, at any depth. */
export function release(container: unknown): void {
  tf.dispose(container as tf.TensorContainer);
}

/** Second handles on every tensor of a flat record, so that either can be released alone. Copies no data. */
export function share<T extends object>(record: T): T {
  return Object.fromEntries(
    Object.entries(record).map(([key, value]) => [key, value instanceof tf.Tensor ? value.clone() : value]),
  ) as T;
}
