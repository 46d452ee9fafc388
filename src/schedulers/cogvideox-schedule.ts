import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { UsageError } from '../errors';
import { count, MOST } from '../io/counts';
import type { OtherFields } from '../io/known-fields';
import { roundHalfToEven } from '../nn/rounding';
import { evenlySpaced, type GridOptions, requireSteps } from './grid';
import type { TimeGrid } from './solver';

/** What the two samplers of CogVideoX have in common; what ertacache does not do is refused by name. */
export const cogVideoXSchedule = z.object({
  num_train_timesteps: count(MOST.trainingTimes).default(1000),
  beta_start: z.number().positive().default(0.00085),
  beta_end: z.number().positive().default(0.012),
  beta_schedule: z.literal('scaled_linear').default('scaled_linear'),
  trained_betas: z.null({ error: 'trained betas are not supported' }).optional(),
  set_alpha_to_one: z.boolean().default(true),
  steps_offset: count(MOST.trainingTimes, 0).default(0),
  prediction_type: z.literal('v_prediction', { error: 'only v_prediction is supported' }),
  timestep_spacing: z.enum(['leading', 'linspace', 'trailing']).default('leading'),
  rescale_betas_zero_snr: z.boolean().default(false),
  snr_shift_scale: z.number().positive().default(3),
});

/** The reference's samplers have these fields, and no line that reads them. */
export const cogVideoXOtherFields: OtherFields = { idle: ['clip_sample', 'clip_sample_range', 'sample_max_value'] };

export type CogVideoXSchedule = z.infer<typeof cogVideoXSchedule>;

/** ᾱ of every training time, after the SNR shift and, where asked for, the rescaling to zero terminal SNR. */
export function alphasCumprod(c: CogVideoXSchedule): Float64Array {
  const alphas = new Float64Array(c.num_train_timesteps);
  let product = 1;
  evenlySpaced(Math.sqrt(c.beta_start), Math.sqrt(c.beta_end), c.num_train_timesteps).forEach((root, t) => {
    product *= 1 - root * root;
    alphas[t] = product / (c.snr_shift_scale + (1 - c.snr_shift_scale) * product);
  });
  if (!c.rescale_betas_zero_snr) return alphas;
  const first = Math.sqrt(alphas[0] as number);
  const last = Math.sqrt(alphas.at(-1) as number);
  return alphas.map(a => ((Math.sqrt(a) - last) * (first / (first - last))) ** 2);
}

function trainingTimes(c: CogVideoXSchedule, steps: number): number[] {
  const count = Array.from({ length: steps }, (_, i) => i);
  switch (c.timestep_spacing) {
    case 'trailing': {
      // NumPy's `arange` takes its step from its first two numbers: the last bit decides which way a half is rounded.
      const first = c.num_train_timesteps;
      const step = first - first / steps - first;
      return count.map(i => roundHalfToEven(first + i * step) - 1);
    }
    case 'leading':
      return count.map(i => (steps - 1 - i) * Math.floor(c.num_train_timesteps / steps) + c.steps_offset);
    case 'linspace':
      return evenlySpaced(0, c.num_train_timesteps - 1, steps)
        .map(roundHalfToEven)
        .reverse();
  }
}

/** The times of a run. Their noise levels, √(1 - ᾱ), only show where the run stands: the times are discrete. */
export function cogVideoXGrid(c: CogVideoXSchedule, options: GridOptions): TimeGrid {
  requireSteps(options);
  if (options.steps > c.num_train_timesteps) {
    throw new UsageError(`${options.steps} steps are more than the ${c.num_train_timesteps} times of the training.`);
  }
  if (options.sigmas) {
    throw new UsageError('This sampler has discrete times and takes no sigmas.', { hint: 'Give the number of steps.' });
  }
  const timesteps = trainingTimes(c, options.steps);
  const levels = createLevels(c, options.steps);
  const sigma = (alpha: number): number => Math.fround(Math.sqrt(1 - alpha));
  return {
    timesteps,
    sigmas: [...timesteps.map(t => sigma(levels.at(t))), sigma(levels.after(timesteps.at(-1) as number))],
  };
}

/** ᾱ at a time and at the time a step from it leads to. */
export interface Levels {
  at(t: number): number;
  /** That is `t` less a fixed stride, not the next time of the rounded schedule. */
  after(t: number): number;
  /** Whether the step from `t` leads to the end. */
  isLast(t: number): boolean;
}

export function createLevels(c: CogVideoXSchedule, steps: number): Levels {
  const alphas = alphasCumprod(c);
  const stride = Math.floor(c.num_train_timesteps / steps);
  const end = c.set_alpha_to_one ? 1 : (alphas[0] as number);
  return {
    at: t => alphas[t] as number,
    after: t => (t < stride ? end : (alphas[t - stride] as number)),
    isLast: t => t < stride,
  };
}

/** Clean sample that a velocity predicts: `√ᾱ · x - √(1 - ᾱ) · v`. */
export function predictX0(output: tf.Tensor, sample: tf.Tensor, alpha: number): tf.Tensor {
  return tf.tidy(() => tf.sub(tf.mul(sample, Math.sqrt(alpha)), tf.mul(output, Math.sqrt(1 - alpha))));
}
