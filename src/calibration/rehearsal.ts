import * as tf from '@tensorflow/tfjs-core';
import type { GuidedOutput, StepInfo } from '../cache/policy';
import type { History, Predictor } from '../cache/predictor';
import { LSQ_DEPTH, type Parts } from '../cache/rectify';
import type { Site } from '../cache/sites';
import { InterruptedError } from '../errors';
import { release, share } from '../nn/scope';
import { guideOutputs, inEvaluation } from '../sampling/cached-run';
import type { Job } from '../sampling/pipeline';
import type { Solver } from '../schedulers/solver';

/** What the model says at the current state. */
export interface Truth {
  /** The true guided output. */
  readonly output: GuidedOutput;
  /** True residual of every branch. */
  readonly residuals: readonly tf.Tensor[];
}

/** What the cache says at the current state. */
export interface Guess {
  /** The guided output rebuilt from what is kept. */
  readonly output: GuidedOutput;
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
  /** Parts of past computed outputs, newest first; borrowed. */
  outputs(): History<Parts>;
  /** Whether the solver can say which output leads to a given latent. */
  readonly canAim: boolean;
  /** The output whose step leads to `next`, where the solver can say; a new tensor. */
  aim(index: number, next: tf.Tensor): tf.Tensor | undefined;
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
  let outputs: History<Parts> = [];

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
    canAim: solver.aim !== undefined,
    aim: (index, next) => solver.aim?.(index, sample, next),
    async look(index, want) {
      if (options.signal?.aborted) throw new InterruptedError();
      const truth = { outputs: [] as tf.Tensor[], residuals: [] as tf.Tensor[] };
      const guess = { outputs: [] as tf.Tensor[], residuals: [] as tf.Tensor[] };
      try {
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
      } catch (error) {
        for (const side of [truth, guess]) tf.dispose([...side.outputs, ...side.residuals]);
        throw error;
      }
      const guided = ({ outputs: all, residuals }: typeof truth): Truth | undefined => {
        if (all.length === 0) return undefined;
        const output = guideOutputs(job.guide, all, index);
        tf.dispose(all);
        return { output, residuals };
      };
      return { truth: guided(truth), guess: guided(guess) };
    },
    advance(index, output, computed) {
      if (computed) {
        const sigma = solver.sigmas[index] as number;
        kept = kept.map((history, b) => remember(history, sigma, computed.residuals[b] as tf.Tensor, predictor.depth));
        release(outputs.slice(LSQ_DEPTH - 1));
        outputs = [{ sigma, value: share(computed.output.parts) }, ...outputs.slice(0, LSQ_DEPTH - 1)];
      }
      const next = solver.step(index, output, sample);
      sample.dispose();
      sample = next;
    },
    dispose() {
      release([sample, kept, outputs]);
      solver.dispose();
    },
  };
}

/** `history` with a copy of `value` in front, cut to `depth`. */
function remember(history: History<tf.Tensor>, sigma: number, value: tf.Tensor, depth: number): History<tf.Tensor> {
  tf.dispose(history.slice(depth - 1).map(h => h.value));
  return [{ sigma, value: value.clone() }, ...history.slice(0, depth - 1)];
}

/** Looks at all runs, one after the other; when one fails, what the others saw is released. */
export async function lookAll(runs: readonly Rehearsal[], index: number, want: Want): Promise<Look[]> {
  const looks: Look[] = [];
  try {
    for (const run of runs) looks.push(await run.look(index, want));
    return looks;
  } catch (error) {
    looks.forEach(releaseLook);
    throw error;
  }
}

/** Releases everything a look holds. */
export function releaseLook(look: Look): void {
  release([look.truth, look.guess]);
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
