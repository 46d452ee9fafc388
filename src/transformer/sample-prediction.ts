import * as tf from '@tensorflow/tfjs-core';
import { tidy } from '../nn/scope';
import { type Block, type Denoiser, type Stream, untapped } from './denoiser';
import { perRow } from './timesteps';

/** How the clean picture that a model predicts becomes a velocity. */
export interface SamplePrediction {
  /** What the timestep is at noise level 1: `num_train_timesteps` of a flow-matching scheduler. */
  readonly trainTimesteps: number;
  /** The least that is divided by, for models that are sampled so; 0 by default: the last step lands on the prediction. */
  readonly velocityFloor?: number;
}

/** What the model's own blocks share, and what its prediction is compared with. */
interface WithLatent<Shared> {
  readonly shared: Shared;
  /** The latent of this step. */
  readonly latent: tf.Tensor;
  /** `max(σ, floor)`, `[B or 1, 1, …]`. */
  readonly divisor: tf.Tensor;
}

/**
 * A model that predicts the clean picture (diffusers' `prediction_type` "sample"; JiT, arXiv 2511.13720) as one that
 * predicts the velocity: `v = (x - prediction) / max(σ, floor)`. This is the only place where one becomes the other:
 * guidance, caches, corrections and solvers all see velocities. The prediction passes through the tap as `sample`, what
 * is made of it as `velocity`.
 * @param model predicts the clean picture, of the latent's shape
 * @param prediction unit of the timesteps, and the floor
 * @returns a denoiser over the same weights
 */
export function velocityOfSample<Cond, Context, Shared>(
  model: Denoiser<Cond, Context, Shared>,
  { trainTimesteps, velocityFloor = 0 }: SamplePrediction,
): Denoiser<Cond, Context, WithLatent<Shared>> {
  const inner = ({ tokens, shared }: Stream<WithLatent<Shared>>): Stream<Shared> => ({ tokens, shared: shared.shared });
  return {
    ...model,
    blocks: model.blocks.map(
      (block): Block<WithLatent<Shared>> => ({
        name: block.name,
        run: (params, tokens, { shared }, tap) => block.run(params, tokens, shared, tap),
      }),
    ),
    embed: (x, timestep, context, tap) =>
      tidy(() => {
        const { tokens, shared } = model.embed(x, timestep, context, tap);
        const sigma = perRow(timestep, x.shape[0] as number, 1 / trainTimesteps);
        const divisor = tf.reshape(tf.maximum(sigma, velocityFloor), [-1, ...x.shape.slice(1).map(() => 1)]);
        return { tokens, shared: { shared, latent: x.clone(), divisor } };
      }),
    head: (stream, tap = untapped) =>
      tidy(() => {
        const { latent, divisor } = stream.shared;
        const sample = tap('sample', () => model.head(inner(stream), tap));
        return tap('velocity', () => tf.div(tf.sub(latent, sample), divisor));
      }),
    signal: stream => model.signal(inner(stream)),
  };
}
