import * as tf from '@tensorflow/tfjs-core';
import type { StepInfo } from '../cache/policy';
import type { History, Predictor } from '../cache/predictor';
import { LSQ_DEPTH } from '../cache/rectify';
import type { Site } from '../cache/sites';
import { InterruptedError } from '../errors';
import type { Job } from '../pipelines/pipeline';
import { inEvaluation } from '../pipelines/sample-loop';
import type { Solver } from '../schedulers/solver';

/** What the model says at the current state. */
export interface Truth {
  /** The true guided output. */
  readonly output: tf.Tensor;
  /** True residual of every branch. */
  readonly residuals: readonly tf.Tensor[];
}

/** What the cache says at the current state. */
export interface Guess {
  /** The guided output rebuilt from what is kept. */
  readonly output: tf.Tensor;
  /** Residual that the cache uses for every branch. */
  readonly residuals: readonly tf.Tensor[];
}

/** Which sides of a step are wanted. The truth costs a forward pass, the guess nearly nothing. */
export type Want = 'truth' | 'guess' | 'both';

export interface Look {
  /** Present where it was wanted. */
  readonly truth?: Truth;
  /** Present where it was wanted and something is kept. */
  readonly guess?: Guess;
}

/**
 * A run in slow motion, for calibration: at every step the transformer is run *and* the cache's reconstruction is
 * made, at the very state that caching has led to.
 */
export interface Rehearsal {
  readonly job: Job;
  readonly sigmas: readonly number[];
  step(index: number): StepInfo;
  /** The current latent; borrowed. */
  sample(): tf.Tensor;
  /** Past computed guided outputs, newest first; borrowed. */
  outputs(): History<tf.Tensor>;
  /** Evaluates the current state; release the result with `releaseLook`. */
  look(index: number, want: Want): Promise<Look>;
  /** Takes the step with `output`. A computed step hands over what it saw, which refreshes what is kept. */
  advance(index: number, output: tf.Tensor, computed?: Truth): void;
  dispose(): void;
}

export interface RehearsalOptions {
  readonly site: Site;
  readonly predictor: Predictor;
  /** Noise levels to follow; the job's own unless given. */
  readonly sigmas?: readonly number[];
  readonly signal?: AbortSignal;
}

export function rehearse(job: Job, options: RehearsalOptions): Rehearsal {
  const { site, predictor } = options;
  const solver: Solver = job.solver(options.sigmas);
  let sample = job.latents.clone();
  let kept: History<tf.Tensor>[] = job.branches.map(() => []);
  let outputs: History<tf.Tensor> = [];

  const step = (index: number): StepInfo => ({
    index,
    steps: solver.timesteps.length,
    sigma: solver.sigmas[index] as number,
    sigmaNext: solver.sigmas[index + 1] as number,
  });

  return {
    job,
    sigmas: solver.sigmas,
    step,
    sample: () => sample,
    outputs: () => outputs,
    async look(index, want) {
      if (options.signal?.aborted) throw new InterruptedError();
      const truth = { outputs: [] as tf.Tensor[], residuals: [] as tf.Tensor[] };
      const guess = { outputs: [] as tf.Tensor[], residuals: [] as tf.Tensor[] };
      for (const [b, branch] of job.branches.entries()) {
        await inEvaluation(branch, sample, solver.timesteps[index] as number, async evaluation => {
          if (want !== 'guess') {
            const captured = await site.capture(evaluation);
            truth.outputs.push(captured.output);
            truth.residuals.push(captured.kept);
          }
          const history = kept[b] as History<tf.Tensor>;
          if (want === 'truth' || history.length === 0) return;
          const predicted = predictor.predict(history, solver.sigmas[index] as number);
          guess.residuals.push(predicted);
          guess.outputs.push(site.rebuild(evaluation, predicted));
        });
      }
      const guided = ({ outputs: all, residuals }: typeof truth): Truth | undefined => {
        if (all.length === 0) return undefined;
        const output = job.guide(all, index);
        tf.dispose(all);
        return { output, residuals };
      };
      return { truth: guided(truth), guess: guided(guess) };
    },
    advance(index, output, computed) {
      if (computed) {
        const sigma = solver.sigmas[index] as number;
        kept = kept.map((history, b) => remember(history, sigma, computed.residuals[b] as tf.Tensor, predictor.depth));
        outputs = remember(outputs, sigma, output, LSQ_DEPTH);
      }
      const next = solver.step(index, output, sample);
      sample.dispose();
      sample = next;
    },
    dispose() {
      tf.dispose([sample, ...[...kept, outputs].flatMap(h => h.map(entry => entry.value))]);
      solver.dispose();
    },
  };
}

/** `history` with a copy of `value` in front, cut to `depth`. */
function remember(history: History<tf.Tensor>, sigma: number, value: tf.Tensor, depth: number): History<tf.Tensor> {
  tf.dispose(history.slice(depth - 1).map(h => h.value));
  return [{ sigma, value: value.clone() }, ...history.slice(0, depth - 1)];
}

/** Releases everything a look holds. */
export function releaseLook(look: Look): void {
  for (const side of [look.truth, look.guess]) if (side) tf.dispose([side.output, ...side.residuals]);
}

/** L1 norm of every row of a batch, as numbers. */
export async function rowNorms(x: tf.Tensor): Promise<number[]> {
  const norms = tf.tidy(() => tf.sum(tf.reshape(tf.abs(x), [x.shape[0] as number, -1]), 1));
  const values = [...(await norms.data<'float32'>())];
  norms.dispose();
  return values;
}

/** L1 norm of every row of `a - b`. */
export async function rowDistances(a: tf.Tensor, b: tf.Tensor): Promise<number[]> {
  const difference = tf.sub(a, b);
  const norms = await rowNorms(difference);
  difference.dispose();
  return norms;
}

export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
