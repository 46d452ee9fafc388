import * as tf from '@tensorflow/tfjs-core';

/** Waits until a tensor has been computed: some backends only note down what is to be done. */
export async function settle(tensor: tf.Tensor): Promise<void> {
  const first = tf.tidy(() => tf.slice(tf.reshape(tensor, [-1]), 0, 1));
  await first.data().finally(() => first.dispose());
}

/** Backends that hand their work to a GPU's queue and go on. */
const QUEUEING: readonly string[] = ['webgpu', 'webgl'];

/**
 * The same between the steps of long work, where there is something to wait for. Without it a whole run would be queued
 * within moments: its steps would seem to take no time, and none could be stopped.
 */
export async function settleQueued(tensor: tf.Tensor): Promise<void> {
  if (QUEUEING.includes(tf.getBackend())) await settle(tensor);
}
