/**
 * UniPC, a multistep predictor and corrector (Zhao et al., 2023; diffusers `UniPCMultistepScheduler`), for flow
 * matching as Wan2.1 uses it: x_σ = (1 - σ) x₀ + σ noise, the model predicts noise - x₀, and the solver works on the
 * predicted x₀ over the half log-SNR λ = ln((1 - σ) / σ).
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { UsageError } from '../errors';
import { count, MOST } from '../io/counts';
import { knowing } from '../io/known-fields';
import { parseState, tensorState } from '../nn/state';
import { evenlySpaced, type GridOptions, requireSteps, shifted } from './grid';
import type { Inspect } from './inspect';
import { solveLinear } from './linear-system';
import type { Solver, TimeGrid } from './solver';

export const uniPCConfig = knowing(
  z
    .object({
      _class_name: z.literal('UniPCMultistepScheduler'),
      num_train_timesteps: count(MOST.trainingTimes).default(1000),
      solver_order: z.int().min(1).max(4).default(2),
      solver_type: z.enum(['bh1', 'bh2']).default('bh2'),
      predict_x0: z.literal(true).default(true),
      prediction_type: z.literal('flow_prediction', { error: 'only flow_prediction is supported' }),
      use_flow_sigmas: z.literal(true, { error: 'only flow sigmas are supported' }),
      flow_shift: z.number().positive().default(1),
      use_dynamic_shifting: z.boolean().default(false),
      time_shift_type: z.literal('exponential').default('exponential'),
      shift_terminal: z.number().nullish(),
      final_sigmas_type: z.enum(['zero', 'sigma_min']).default('zero'),
      lower_order_final: z.boolean().default(true),
      disable_corrector: z.array(z.int()).max(MOST.steps).default([]),
      solver_p: z.null({ error: 'another predictor is not supported' }).optional(),
      thresholding: z.literal(false, { error: 'thresholding is not supported' }).default(false),
      use_karras_sigmas: z.literal(false, { error: 'Karras sigmas are not supported' }).nullish(),
      use_exponential_sigmas: z.literal(false, { error: 'exponential sigmas are not supported' }).nullish(),
      use_beta_sigmas: z.literal(false, { error: 'beta sigmas are not supported' }).nullish(),
    })
    .refine(c => c.lower_order_final || c.solver_order === 1 || c.final_sigmas_type === 'sigma_min', {
      error: 'a step to noise level 0 is only defined at order 1, so it must stay on',
      path: ['lower_order_final'],
    }),
  {
    // With flow sigmas the reference overwrites what it has made of these.
    idle: [
      ...[
        'beta_start',
        'beta_end',
        'beta_schedule',
        'trained_betas',
        'rescale_betas_zero_snr',
        'sigma_min',
        'sigma_max',
      ],
      ...['timestep_spacing', 'steps_offset', 'dynamic_thresholding_ratio', 'sample_max_value'],
    ],
  },
);

export type UniPCConfig = z.infer<typeof uniPCConfig>;

const f32 = Math.fround;
/** The first noise level is kept this far from 1, where λ would be infinite. */
const MARGIN = 1e-6;

export function uniPCGrid(own: UniPCConfig, options: GridOptions): TimeGrid {
  requireSteps(options);
  const { mu, shift } = options;
  const c = shift === undefined ? own : { ...own, flow_shift: shift, use_dynamic_shifting: false };
  if (c.use_dynamic_shifting && mu === undefined) {
    throw new UsageError('This scheduler shifts dynamically and needs `mu`.', { hint: 'Pass mu, or turn it off.' });
  }
  const base = options.sigmas ?? evenlySpaced(1, 1 / c.num_train_timesteps, options.steps + 1).slice(0, -1);
  const strength = Math.exp(mu ?? 0);
  const moved = base.map(s =>
    c.use_dynamic_shifting ? strength / (strength + (1 / s - 1)) : shifted(s, c.flow_shift),
  );
  const scale = c.shift_terminal ? (1 - (moved.at(-1) as number)) / (1 - c.shift_terminal) : 1;
  const [first, ...rest] = scale === 1 ? moved : moved.map(s => 1 - (1 - s) / scale);
  const levels = [Math.abs((first as number) - 1) < MARGIN ? (first as number) - MARGIN : (first as number), ...rest];
  const end = c.final_sigmas_type === 'zero' ? 0 : (levels.at(-1) as number);
  return {
    timesteps: levels.map(s => Math.trunc(s * c.num_train_timesteps)),
    sigmas: [...levels, end].map(f32),
  };
}

/** The grid over other falling noise levels; the model is given whole times, as always with this sampler. */
export function uniPCGridAt(c: UniPCConfig, sigmas: readonly number[]): TimeGrid {
  return {
    timesteps: sigmas.slice(0, -1).map(s => Math.trunc(Math.min(s, 1 - MARGIN) * c.num_train_timesteps)),
    sigmas,
  };
}

/** Numbers of an update from one noise level to another, using predictions at earlier levels. */
interface Update {
  /** Factors of the old sample, of the newest prediction, and of the sum of differences. */
  readonly ofSample: number;
  readonly ofNewest: number;
  readonly ofDifferences: number;
  /** λ distance of each earlier prediction over that of the step; 1, of the step's end, comes last. */
  readonly ratios: readonly number[];
  /** Right-hand side of the order conditions. */
  readonly conditions: readonly number[];
}

function update(sigmas: readonly number[], from: number, to: number, order: number, type: 'bh1' | 'bh2'): Update {
  const sigma = (i: number): number => Math.min(sigmas[i] as number, 1 - MARGIN);
  const lambda = (i: number): number => Math.log(1 - sigma(i)) - Math.log(sigma(i));
  const h = lambda(to) - lambda(from);
  const growth = Math.expm1(-h);
  const b = type === 'bh1' ? -h : growth;
  const conditions: number[] = [];
  let phi = growth / -h - 1;
  for (let i = 1, factorial = 1; i <= order; i++) {
    conditions.push((phi * factorial) / b);
    factorial *= i + 1;
    phi = phi / -h - 1 / factorial;
  }
  const earlier = Array.from({ length: order - 1 }, (_, i) => (lambda(from - 1 - i) - lambda(from)) / h);
  const alpha = 1 - sigma(to);
  return {
    ofSample: sigma(to) / sigma(from),
    ofNewest: -alpha * growth,
    ofDifferences: -alpha * b,
    ratios: [...earlier, 1],
    conditions,
  };
}

/** Weights that meet the first `count` order conditions: `Σ w_j · r_j^(i-1) = c_i`. */
function weights({ ratios, conditions }: Update, count: number): number[] {
  const rows = Array.from({ length: count }, (_, i) => ratios.slice(0, count).map(r => r ** i));
  return solveLinear(rows, conditions.slice(0, count));
}

const stateForm = z.object({
  predictions: z.array(tensorState),
  previous: z.object({ sample: tensorState, order: z.int() }).nullable(),
});

/**
 * The solver over any falling grid. It keeps the predictions of the last `solver_order` steps and one sample.
 */
export function createUniPC(c: UniPCConfig, grid: TimeGrid, inspect?: Inspect): Solver {
  const steps = grid.timesteps.length;
  /** Predicted clean samples, newest first. */
  let predictions: tf.Tensor[] = [];
  let previous: { sample: tf.Tensor; order: number } | undefined;

  /** Moves `sample` from level `from` to `to`; `end` is the prediction at `to`, which only the corrector has. */
  function moved(sample: tf.Tensor, from: number, to: number, order: number, end?: tf.Tensor): tf.Tensor {
    const u = update(grid.sigmas, from, to, order, c.solver_type);
    const newest = predictions[0] as tf.Tensor;
    // At the lowest order of each the weight is ½ by definition, not by the order conditions.
    const count = end ? order : order - 1;
    const solved = (end ? order === 1 : order === 2) ? [0.5] : weights(u, count);
    const others = [...predictions.slice(1, order), ...(end ? [end] : [])];
    const base = tf.add(tf.mul(sample, u.ofSample), tf.mul(newest, u.ofNewest));
    return others.reduce(
      (sum, other, i) =>
        tf.add(sum, tf.mul(tf.sub(other, newest), (u.ofDifferences * (solved[i] as number)) / (u.ratios[i] as number))),
      base,
    );
  }

  const clean = (index: number, output: tf.Tensor, sample: tf.Tensor): tf.Tensor =>
    tf.tidy(() => tf.sub(sample, tf.mul(output, grid.sigmas[index] as number)));
  function dispose(): void {
    tf.dispose(predictions);
    previous?.sample.dispose();
    predictions = [];
    previous = undefined;
  }
  return {
    ...grid,
    clean,
    step(index, output, sample) {
      const x0 = clean(index, output, sample);
      const corrected =
        previous && !c.disable_corrector.includes(index - 1)
          ? tf.tidy(() => moved(previous!.sample, index - 1, index, previous!.order, x0))
          : sample.clone();
      // Of as many predictions as there were before this one, so that the order grows by one a step.
      const warm = Math.min(c.solver_order, predictions.length + 1);
      const order = c.lower_order_final ? Math.min(warm, steps - index) : warm;
      for (const old of predictions.slice(c.solver_order - 1)) old.dispose();
      predictions = [x0, ...predictions.slice(0, c.solver_order - 1)];
      previous?.sample.dispose();
      previous = { sample: corrected, order };
      inspect?.({ index, x0, order });
      return tf.tidy(() => moved(corrected, index, index + 1, order));
    },
    state: () => ({ predictions, previous: previous ?? null }),
    restore(state) {
      const kept = parseState(stateForm, state);
      dispose();
      predictions = kept.predictions.map(x0 => x0.clone());
      previous = kept.previous ? { ...kept.previous, sample: kept.previous.sample.clone() } : undefined;
    },
    dispose,
  };
}
