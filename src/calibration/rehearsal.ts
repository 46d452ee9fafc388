import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { type Corrector, corrector } from '../cache/corrector';
import type { Decision, GuidedOutput, StepInfo } from '../cache/policy';
import type { Predictor } from '../cache/predictor';
import { residualHistory, type WithResidual } from '../cache/residual';
import type { Site } from '../cache/sites';
import { nextTurn } from '../io/turn';
import { release } from '../nn/scope';
import { anyState, parseState, type Resumable, type State } from '../nn/state';
import { guideOutputs, inEvaluation } from '../sampling/cached-run';
import type { Job } from '../sampling/pipeline';
import { beginTrajectory } from '../sampling/trajectory';
import { across } from './in-turn';

/** One side of a step at the current state: what the model says, or what the cache says. */
export interface Side {
  /** The guided output, with nothing corrected. */
  readonly output: GuidedOutput;
  /** The residual of every branch: the true one, or the one that the cache uses. */
  readonly residuals: readonly tf.Tensor[];
}

/** Which sides of a step are wanted. The truth costs a forward pass, the guess nearly nothing. */
export type Want = 'truth' | 'guess' | 'both';

export interface Look {
  /** What the model says; present where it was wanted. */
  readonly truth?: Side | undefined;
  /** What the cache says; present where it was wanted and something is kept. */
  readonly guess?: Side | undefined;
}

/**
 * A run in slow motion, for calibration: at every step the transformer is run *and* the cache's reconstruction is
 * made, at the very state that caching has led to. What is kept, rebuilt, corrected and stepped is so by the code of a
 * sampling run.
 */
export interface Rehearsal extends Resumable {
  readonly job: Job;
  readonly sigmas: readonly number[];
  step(index: number): StepInfo;
  /** The current latent; borrowed. */
  sample(): tf.Tensor;
  /** Whether the solver can say which output leads to a given latent. */
  readonly canAim: boolean;
  /** The output whose step leads to `next`, where the solver can say; a new tensor. */
  aim(index: number, next: tf.Tensor): tf.Tensor | undefined;
  /** Evaluates the current state; release the result with `releaseLook`. */
  look(index: number, want: Want): Promise<Look>;
  /** What a least-squares correction of this output may weigh, by term; borrowed until `advance`. */
  terms(output: GuidedOutput): Readonly<Record<string, tf.Tensor>>;
  /** Corrects one side of the step, which stays the caller's, and takes the step. A computed one is kept for later. */
  advance(index: number, side: Side, decision: Decision): void;
  /** @throws UnsupportedError for a sampler whose runs cannot be taken up in the middle */
  state(): State;
  dispose(): void;
}

export interface RehearsalOptions {
  readonly site: Site;
  readonly predictor: Predictor;
  /** Noise levels to follow; the job's own unless given. */
  readonly sigmas?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @param corrections what corrects the outputs, the rehearsal's from now on; nothing is corrected unless given */
export function rehearse(
  job: Job,
  options: RehearsalOptions,
  corrections: Corrector = corrector({ form: 'off' }),
): Rehearsal {
  const solver = job.solver(options.sigmas);
  const trajectory = beginTrajectory({ solver, latents: job.latents });
  const branches = job.branches.map(branch => ({
    branch,
    history: residualHistory(options.site, options.predictor),
  }));

  /** Guides the outputs of all branches, and releases them. */
  function guided(index: number, all: readonly WithResidual[]): Side | undefined {
    if (all.length === 0) return undefined;
    const outputs = all.map(one => one.output);
    const output = guideOutputs(job.guide, outputs, {
      ...trajectory.step(index),
      timestep: solver.timesteps[index] as number,
    });
    tf.dispose(outputs);
    return { output, residuals: all.map(one => one.residual) };
  }

  return {
    job,
    sigmas: solver.sigmas,
    step: trajectory.step,
    sample: trajectory.sample,
    canAim: solver.aim !== undefined,
    aim: (index, next) => solver.aim?.(index, trajectory.sample(), next),
    async look(index, want) {
      await nextTurn(options.signal);
      const [truth, guess]: [WithResidual[], WithResidual[]] = [[], []];
      try {
        for (const { branch, history } of branches) {
          const timestep = solver.timesteps[index] as number;
          const before = solver.timesteps[index - 1];
          // What was kept of one model is of no use to the one that takes over.
          if (before !== undefined && branch.expert?.(before) !== branch.expert?.(timestep)) history.dispose();
          const point = { sample: trajectory.sample(), timestep, signal: options.signal };
          await inEvaluation(branch, point, async evaluation => {
            if (want !== 'guess') truth.push(await history.capture(evaluation));
            const rebuilt = want === 'truth' ? undefined : history.rebuild(trajectory.step(index), evaluation);
            if (rebuilt) guess.push(rebuilt);
          });
        }
      } catch (error) {
        release([truth, guess]);
        throw error;
      }
      return { truth: guided(index, truth), guess: guided(index, guess) };
    },
    terms: output => corrections.terms(trajectory.sample(), output),
    advance(index, { output, residuals }, decision) {
      const step = trajectory.step(index);
      if (decision === 'compute') {
        for (const [b, { history }] of branches.entries()) history.keep(step, residuals[b] as tf.Tensor);
      }
      const corrected = corrections.correct(step, trajectory.sample(), output, decision);
      try {
        trajectory.advance(index, corrected);
      } finally {
        corrected.dispose();
      }
    },
    state: () => [trajectory.state(), corrections.state(), ...branches.map(({ history }) => history.state())],
    restore(state) {
      const [at, corrected, ...kept] = parseState(z.array(anyState).length(2 + branches.length), state);
      trajectory.restore(at as State);
      corrections.restore(corrected as State);
      for (const [b, { history }] of branches.entries()) history.restore(kept[b] as State);
    },
    dispose() {
      for (const { history } of branches) history.dispose();
      corrections.dispose();
      trajectory.dispose();
    },
  };
}

/** Looks at all runs; when one fails, what the others saw is released. */
export function lookAll(runs: readonly Rehearsal[], index: number, want: Want): Promise<Look[]> {
  return across(runs[0]?.job, runs, run => run.look(index, want), releaseLook);
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
