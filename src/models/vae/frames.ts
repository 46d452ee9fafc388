import * as tf from '@tensorflow/tfjs-core';
import type { Frames } from '../../nn/conv3d';
import { tidy } from '../../nn/scope';

/**
 * The frames of one video.
 * @param video `[C, T, H, W]`
 * @returns T tensors `[1, H, W, C]`
 */
export function toFrames(video: tf.Tensor): tf.Tensor[] {
  const [channels, count, height, width] = video.shape as [number, number, number, number];
  const planes = tf.reshape(video, [channels, count, height * width]);
  const frames = Array.from({ length: count }, (_, t) =>
    tidy(() => {
      const plane = tf.reshape(tf.slice(planes, [0, t, 0], [channels, 1, height * width]), [channels, height * width]);
      return tf.reshape(tf.transpose(plane), [1, height, width, channels]);
    }),
  );
  planes.dispose();
  return frames;
}

/**
 * The inverse of `toFrames`. The frames stay the caller's.
 * @param frames `[1, H, W, C]`
 * @returns `[C, T, H, W]`
 */
export function fromFrames(frames: Frames): tf.Tensor {
  const [, height, width, channels] = (frames[0] as tf.Tensor).shape as [number, number, number, number];
  return tidy(() => {
    const planes = frames.map(frame =>
      tf.reshape(tf.transpose(tf.reshape(frame, [height * width, channels])), [channels, 1, height * width]),
    );
    return tf.reshape(tf.concat(planes, 1), [channels, frames.length, height, width]);
  });
}
