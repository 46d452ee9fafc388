import * as tf from '@tensorflow/tfjs-core';
import { type Denoiser, untapped } from './denoiser';

/**
 * A model that predicts more than the sampler takes, cut down to its first `channels` channels: Open-Sora's second
 * half is a variance, which no sampler here uses. Caches and guidance then see outputs of the latent's own shape. The
 * whole output passes through the tap as `model_output`.
 * @param axis axis of the latent that holds its channels
 */
export function velocityOnly<Cond, Context, Shared>(
  model: Denoiser<Cond, Context, Shared>,
  channels: number,
  axis: number,
): Denoiser<Cond, Context, Shared> {
  return {
    ...model,
    head: (stream, tap = untapped) =>
      tf.tidy(() => {
        const output = tap('model_output', () => model.head(stream, tap));
        if (output.shape[axis] === channels) return output;
        const size = output.shape.map((length, i) => (i === axis ? channels : length));
        return tf.slice(output, new Array<number>(size.length).fill(0), size);
      }),
  };
}
