import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { UsageError } from '../errors';
import { count, MOST } from '../io/counts';
import { knowing } from '../io/known-fields';
import { stateless } from '../nn/state';
import { eulerSteps } from './euler';
import { requireSteps, shifted } from './grid';
import type { Solver, TimeGrid } from './solver';

/** Configuration of diffusers' `FlowMatchEulerDiscreteScheduler`; what ertacache does not do is refused by name. */
export const flowMatchEulerConfig = knowing(
  z
    .object({
      _class_name: z.literal('FlowMatchEulerDiscreteScheduler'),
      num_train_timesteps: count(MOST.trainingTimes).default(1000),
      shift: z.number().positive().default(1),
      use_dynamic_shifting: z.boolean().default(false),
      base_shift: z.number().nullish().default(0.5),
      max_shift: z.number().nullish().default(1.15),
      base_image_seq_len: count(MOST.tokens).nullish().default(256),
      max_image_seq_len: count(MOST.tokens).nullish().default(4096),
      shift_terminal: z.number().nullish(),
      time_shift_type: z.enum(['exponential', 'linear']).default('exponential'),
      invert_sigmas: z.literal(false, { error: 'inverted sigmas are not supported' }).default(false),
      stochastic_sampling: z.boolean().default(false),
      use_karras_sigmas: z.literal(false, { error: 'Karras sigmas are not supported' }).nullish(),
      use_exponential_sigmas: z.literal(false, { error: 'exponential sigmas are not supported' }).nullish(),
      use_beta_sigmas: z.literal(false, { error: 'beta sigmas are not supported' }).nullish(),
    })
    // The shift is a line through both lengths.
    .refine(c => (c.max_image_seq_len ?? 4096) > (c.base_image_seq_len ?? 256), {
      path: ['max_image_seq_len'],
      error: 'must be more than base_image_seq_len',
    }),
  { fixed: { use_flow_sigmas: [false] } },
);

export type FlowMatchEulerConfig = z.infer<typeof flowMatchEulerConfig>;

export interface FlowMatchEulerOptions {
  readonly steps: number;
  /** Noise levels before shifting, as a pipeline passes them; from `num_train_timesteps` unless given. */
  readonly sigmas?: readonly number[] | undefined;
  /** Strength of the dynamic shift; required where `use_dynamic_shifting` is on. */
  readonly mu?: number | undefined;
  /** A fixed shift in place of the configuration's own, by size or fixed. */
  readonly shift?: number | undefined;
}

const f32 = Math.fround;

/** `count` numbers from `start` to `stop`, both included. */
export function linspace(start: number, stop: number, count: number): number[] {
  if (count === 1) return [start];
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? stop : start + ((stop - start) * i) / (count - 1)));
}

/** The dynamic shift of an image of `tokens` tokens: linear in the token count (FLUX pipeline). */
export function dynamicShift(c: FlowMatchEulerConfig, tokens: number): number {
  const [x0, y0] = [c.base_image_seq_len ?? 256, c.base_shift ?? 0.5];
  const [x1, y1] = [c.max_image_seq_len ?? 4096, c.max_shift ?? 1.15];
  const slope = (y1 - y0) / (x1 - x0);
  return tokens * slope + (y0 - slope * x0);
}

/**
 * The times of a run, exactly as the reference makes them. With a static shift and no sigmas given, the shift enters
 * twice: the constructor has shifted the range's ends already.
 */
export function flowMatchEulerGrid(own: FlowMatchEulerConfig, options: FlowMatchEulerOptions): TimeGrid {
  requireSteps(options);
  const { steps, mu, shift } = options;
  const c = shift === undefined ? own : { ...own, shift, use_dynamic_shifting: false };
  if (c.use_dynamic_shifting && mu === undefined) {
    throw new UsageError('This scheduler shifts by image size and needs `mu`.', {
      hint: 'Pass dynamicShift(config, imageTokens).',
    });
  }
  const fixed = (s: number): number => shifted(s, c.shift);
  const dynamic = (s: number): number => {
    const strength = c.time_shift_type === 'exponential' ? Math.exp(mu as number) : (mu as number);
    return s === 0 ? 0 : strength / (strength + (1 / s - 1));
  };
  const end = (s: number): number => f32(c.use_dynamic_shifting ? s : fixed(s));

  const base = options.sigmas?.map(f32) ?? linspace(end(1), end(f32(1 / c.num_train_timesteps)), steps);
  const moved = base.map(c.use_dynamic_shifting ? dynamic : fixed);
  const sigmas = (c.shift_terminal ? stretched(moved, c.shift_terminal) : moved).map(f32);
  return { timesteps: sigmas.map(s => f32(s * c.num_train_timesteps)), sigmas: [...sigmas, 0] };
}

/** Stretches the grid so that its last noise level is `terminal`. */
function stretched(sigmas: readonly number[], terminal: number): number[] {
  const scale = (1 - (sigmas.at(-1) as number)) / (1 - terminal);
  return sigmas.map(s => 1 - (1 - s) / scale);
}

/** Euler steps on any falling grid of noise levels, where they are not stochastic. */
export function createFlowMatchEuler(c: FlowMatchEulerConfig, grid: TimeGrid): Solver {
  const euler = eulerSteps(grid);
  if (!c.stochastic_sampling) return euler;
  return {
    ...grid,
    ...stateless,
    clean: euler.clean,
    step(index, output, sample, noise) {
      const next = grid.sigmas[index + 1] as number;
      if (!noise) throw new UsageError('Stochastic sampling needs a source of noise.');
      return tf.tidy(() => {
        const x0 = euler.clean(index, output, sample);
        return tf.add(tf.mul(x0, 1 - next), tf.mul(noise(), next));
      });
    },
    dispose() {},
  };
}
