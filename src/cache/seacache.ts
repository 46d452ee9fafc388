import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { parseState, tensorState } from '../nn/state';
import { relativeChange } from './change';
import { type Evaluation, partsOf } from './evaluation';
import { type CachePolicy, type Decision, type StepInfo, tensorBytes } from './policy';
import { residualBranch } from './residual';
import { site } from './sites';
import { requireThreshold } from './threshold';

const stateForm = z.object({ before: tensorState.nullable(), accumulated: z.number() });

/** Settings of SeaCache. */
export interface SeaCacheOptions {
  /** Reuse while the accumulated change is below this. */
  readonly threshold: number;
}

/**
 * SeaCache (arXiv 2602.18993): TeaCache's accumulated change, measured on the modulated input of the first block after a
 * filter that keeps what is picture and damps what is noise at this noise level, and without a polynomial. The filter is
 * Wiener's for a power-law spectrum, one for each axis of the picture, `a S / (a² S + b²)` with `S = f⁻ᵖ`, `a = 1 - σ`,
 * `b = σ`, scaled to a mean of 1 over all frequencies; p is 2 for pictures and 3 for clips. The first and the last step
 * are computed. Reuse adds the residual of all blocks.
 *
 * A batch is decided on as one, by its mean.
 * @param options the threshold
 * @returns the caching method; for models that can be cut in three
 * @throws PolicyError for a threshold that is not a number from 0 up
 */
export function seacache({ threshold }: SeaCacheOptions): CachePolicy {
  requireThreshold('SeaCache', threshold);
  return {
    name: 'seacache',
    isDynamic: true,
    begin: () => ({
      branch() {
        let before: tf.Tensor | undefined;
        let accumulated = 0;

        async function decide(step: StepInfo, evaluation: Evaluation): Promise<Decision> {
          const signal = await inputOf(evaluation);
          const grid = gridOf(evaluation.sample.shape, signal.shape.at(-2) as number);
          const filtered = seaFilter(signal, grid, step.sigma);
          signal.dispose();
          const forced = !before || step.index === step.steps - 1;
          const change = before && !forced ? await relativeChange(filtered, before) : 0;
          before?.dispose();
          before = filtered;
          accumulated = forced ? 0 : accumulated + change;
          // In this order, a sum that is not a number computes.
          if (!forced && accumulated < threshold) return 'reuse';
          accumulated = 0;
          return 'compute';
        }

        return residualBranch({
          site: site('hidden'),
          decide,
          bytes: () => tensorBytes([before]),
          state: () => ({ before: before ?? null, accumulated }),
          restore(state) {
            const kept = parseState(stateForm, state);
            before?.dispose();
            before = kept.before?.clone();
            accumulated = kept.accumulated;
          },
          dispose: () => before?.dispose(),
        });
      },
      dispose() {},
    }),
  };
}

/** The modulated input of the first block or, where TeaCache compares only the time's part of it, the embedded tokens. */
async function inputOf(evaluation: Evaluation): Promise<tf.Tensor> {
  const parts = partsOf(evaluation, 'SeaCache');
  const { hidden } = parts.embed().tokens;
  const signal = await parts.signal();
  if (signal.shape.at(-2) === hidden.shape.at(-2)) return signal;
  signal.dispose();
  return hidden.clone();
}

/**
 * The grid that a latent's tokens lie on: `[rows, columns]`, or `[frames, rows, columns]` of a clip. Packed latents do not
 * tell theirs: they are taken for square or, where that cannot be, for a single row.
 */
export function gridOf(sample: readonly number[], tokens: number): number[] {
  const frames = sample.length === 5 ? (sample[2] as number) : 1;
  const [height, width] = sample.length >= 4 ? (sample.slice(-2) as [number, number]) : [1, 1];
  const patch = Math.sqrt((frames * height * width) / tokens);
  const grid = [Math.round(height / patch), Math.round(width / patch)];
  if (sample.length === 5) grid.unshift(frames);
  return grid.reduce((product, n) => product * n, 1) === tokens ? grid : [tokens];
}

/** Both ends of the noise levels are moved in by this, as in the released code. */
const MARGIN = 1e-6;
const TINY = 1e-16;

/**
 * Filters tokens `[…, tokens, width]` along the axes of their grid.
 * @returns a new tensor of the same shape
 */
export function seaFilter(tokens: tf.Tensor, grid: readonly number[], sigma: number): tf.Tensor {
  const noise = Math.min(1 - MARGIN, Math.max(MARGIN, sigma));
  const power = grid.length === 3 ? 3 : 2;
  const gains = grid.map(length => wienerGains(length, 1 - noise, noise, power));
  const meanGain = gains.reduce((product, gain) => product * (gain.reduce((a, b) => a + b, 0) / gain.length), 1);
  return tf.tidy(() => {
    let filtered = tf.reshape(tokens, [-1, ...grid, tokens.shape.at(-1) as number]);
    const { shape } = filtered;
    for (const [axis, gain] of gains.entries()) {
      const length = gain.length;
      const outer = shape.slice(0, axis + 1).reduce((a, b) => a * b, 1);
      const lines = tf.reshape(filtered, [outer, length, -1]);
      const matrix = tf.tensor(circulant(gain), [1, length, length]);
      filtered = tf.matMul(tf.tile(matrix, [outer, 1, 1]), lines);
      filtered = tf.reshape(filtered, shape);
    }
    return tf.div(tf.reshape(filtered, tokens.shape), meanGain);
  });
}

/** What the filter leaves of every frequency of an axis. */
function wienerGains(length: number, a: number, b: number, power: number): number[] {
  return Array.from({ length }, (_, k) => {
    const frequency = Math.min(k, length - k) / length;
    const spectrum = 1 / (frequency ** power + TINY);
    return (a * spectrum) / (a * a * spectrum + b * b + TINY);
  });
}

/** The matrix, row by row, that multiplies frequencies by gains: what an inverse transform makes of them, going round. */
function circulant(gains: readonly number[]): number[] {
  const { length } = gains;
  const kernel = Array.from({ length }, (_, n) =>
    gains.reduce((sum, gain, k) => sum + (gain / length) * Math.cos((2 * Math.PI * k * n) / length), 0),
  );
  return Array.from({ length: length * length }, (_, i) => {
    const [row, column] = [Math.floor(i / length), i % length];
    return kernel[(row - column + length) % length] as number;
  });
}
