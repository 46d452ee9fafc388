/**
 * Rectified flow as Open-Sora 1.2 samples it (`RFLOW`).
 *
 * Times fall from 1000 to 0; x_t = (1 - t/1000) x₀ + t/1000 noise. The model predicts x₀ - noise, the opposite sign of
 * FLUX and Wan, so a step adds `v · (σ - σ_next)`. The solver takes the guided velocity: of the model's two halves of
 * channels only the first, after classifier-free guidance.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { UsageError } from '../errors';
import { count, MOST } from '../io/counts';
import { knowing } from '../io/known-fields';
import { roundHalfToEven } from '../nn/rounding';
import { stateless } from '../nn/state';
import { type GridOptions, requireSteps } from './grid';
import type { Inspect } from './inspect';
import type { Solver, TimeGrid } from './solver';

export const rflowConfig = knowing(
  z.object({
    _class_name: z.literal('RFLOW'),
    num_timesteps: count(MOST.trainingTimes).default(1000),
    num_sampling_steps: count(MOST.steps).default(10),
    /** Default strength of classifier-free guidance; the solver does not use it. */
    cfg_scale: z.number().default(4),
    use_discrete_timesteps: z.boolean().default(false),
    use_timestep_transform: z.boolean().default(false),
  }),
  { idle: ['type', 'sample_method', 'loc', 'scale', 'transform_scale'] },
);

export type RFlowConfig = z.infer<typeof rflowConfig>;

const f32 = Math.fround;
const TRAINED_PIXELS = 512 * 512;

/** More pixels and more frames need more noise: how far the times are pushed towards it, in float32. */
function timeRatio({ height, width, frames }: GridOptions): number {
  if (height === undefined || width === undefined || frames === undefined) {
    throw new UsageError('This scheduler shifts by size and needs height, width and frames.', {
      hint: 'Pass the size in pixels and the number of frames, 1 for an image.',
    });
  }
  // 17 frames are five latent frames: the stride of Open-Sora's autoencoder, which the times were tuned with.
  const latentFrames = frames === 1 ? 1 : Math.floor(frames / 17) * 5;
  const space = f32(Math.sqrt(f32(f32(height * width) / TRAINED_PIXELS)));
  return f32(space * f32(Math.sqrt(latentFrames)));
}

export function rflowGrid(c: RFlowConfig, options: GridOptions): TimeGrid {
  requireSteps(options);
  const { steps, sigmas } = options;
  const even = Array.from({ length: steps }, (_, i) => sigmas?.[i] ?? 1 - i / steps).map(s => s * c.num_timesteps);
  const times = even.map(t => f32(c.use_discrete_timesteps ? roundHalfToEven(t) : t));
  if (!c.use_timestep_transform && options.shift === undefined) return rflowGridOf(c, times);

  const ratio = options.shift ?? timeRatio(options);
  const pushed = times.map(time => {
    const t = f32(time / c.num_timesteps);
    return f32(f32(f32(ratio * t) / f32(1 + f32(f32(ratio - 1) * t))) * c.num_timesteps);
  });
  return rflowGridOf(c, pushed);
}

const rflowGridOf = (c: RFlowConfig, timesteps: readonly number[]): TimeGrid => ({
  timesteps,
  sigmas: [...timesteps.map(t => f32(t / c.num_timesteps)), 0],
});

/** The grid over other falling noise levels. */
export function rflowGridAt(c: RFlowConfig, sigmas: readonly number[]): TimeGrid {
  return { timesteps: sigmas.slice(0, -1).map(s => f32(f32(s) * c.num_timesteps)), sigmas };
}

/** Euler steps on any falling grid, `x += (σ - σ_next) · v`. */
export function createRFlow(_: RFlowConfig, grid: TimeGrid, inspect?: Inspect): Solver {
  return {
    ...grid,
    ...stateless,
    step(index, output, sample) {
      const [sigma, next] = [grid.sigmas[index] as number, grid.sigmas[index + 1] as number];
      inspect?.({ index });
      return tf.tidy(() => tf.add(sample, tf.mul(output, f32(sigma - next))));
    },
    clean: (index, output, sample) => tf.tidy(() => tf.add(sample, tf.mul(output, grid.sigmas[index] as number))),
    aim(index, sample, next) {
      const length = f32((grid.sigmas[index] as number) - (grid.sigmas[index + 1] as number));
      return tf.tidy(() => tf.div(tf.sub(next, sample), length));
    },
    dispose() {},
  };
}
