import * as tf from '@tensorflow/tfjs-core';

/** `mean|now - before| / mean|before|` over everything, the whole batch included: one number, read back. */
export async function relativeChange(now: tf.Tensor, before: tf.Tensor): Promise<number> {
  const change = tf.tidy(() => tf.div(tf.mean(tf.abs(tf.sub(now, before))), tf.mean(tf.abs(before))));
  const [value] = await change.data<'float32'>();
  change.dispose();
  return value as number;
}
