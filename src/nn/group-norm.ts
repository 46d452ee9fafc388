import * as tf from '@tensorflow/tfjs-core';
import type { Frames } from './conv3d';
import type { Params } from './params';

/** `x · scale + shift`, one factor and one summand for each channel: shapes `[C]`. */
export interface Affine {
  readonly scale: tf.Tensor;
  readonly shift: tf.Tensor;
}

export function applyAffine(x: tf.Tensor, { scale, shift }: Affine): tf.Tensor {
  return tf.add(tf.mul(x, scale), shift);
}

/**
 * Mean of every channel of one image, in two stages: columns of rows, then rows. As products with a row of 1/n they
 * are the fastest form on every backend, 20 times so on wasm, and no sum is longer than a side of the image.
 * @param x `[1, H, W, C]`
 * @returns `[1, C]`
 */
function channelMeans(x: tf.Tensor): tf.Tensor {
  const [, height, width, channels] = x.shape as [number, number, number, number];
  const average = (rows: tf.Tensor, count: number): tf.Tensor =>
    tf.matMul(tf.fill([1, count], 1 / count) as tf.Tensor2D, rows as tf.Tensor2D);
  const columns = average(tf.reshape(x, [height, width * channels]), height);
  return average(tf.reshape(columns, [width, channels]), width);
}

/**
 * GroupNorm over all frames of a video, as the affine map that normalises each of them.
 * @param p holds `weight` and `bias`, both `[C]`
 * @param frames frames `[1, H, W, C]` of one size; a single one is an image
 */
export function groupNorm(p: Params, frames: Frames, groups: number, eps: number): Affine {
  return tf.tidy(() => {
    const statistics = frames.map(x =>
      tf.tidy(() => {
        const mean = channelMeans(x);
        // About the mean, not about zero: a channel far from zero would lose all its digits.
        return [mean, channelMeans(tf.squaredDifference(x, mean))] as [tf.Tensor, tf.Tensor];
      }),
    );
    const means = tf.concat(statistics.map(([mean]) => mean));
    const variances = tf.concat(statistics.map(([, variance]) => variance));
    const channels = means.shape[1] as number;
    const overGroup = (t: tf.Tensor): tf.Tensor => {
      const ofGroup = tf.mean(tf.reshape(tf.mean(t, 0), [groups, channels / groups]), 1, true);
      return tf.reshape(tf.tile(ofGroup, [1, channels / groups]), [channels]);
    };
    const mean = overGroup(means);
    const variance = overGroup(tf.add(variances, tf.squaredDifference(means, mean)));
    const scale = tf.mul(p.tensor('weight'), tf.rsqrt(tf.add(variance, eps)));
    return { scale, shift: tf.sub(p.tensor('bias'), tf.mul(mean, scale)) };
  });
}
