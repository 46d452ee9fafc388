import * as tf from '@tensorflow/tfjs-core';
import { UsageError } from '../../errors';
import { isObject, requireList, requireObject, wrongArgument } from '../../io/arguments';
import { stateless } from '../../nn/state';
import type { Solver } from '../../schedulers/solver';

/** Noise levels of a run and how a latent is led over them. */
export interface Scheduler {
  /** What policies call it: a policy belongs to one scheduler. */
  readonly name: string;
  /** Noise levels, falling; one more than there are steps. */
  readonly sigmas: readonly number[];
  /**
   * A fresh solver, over the scheduler's own noise levels or over others.
   * @param sigmas falling noise levels, length steps + 1; the scheduler's own by default
   * @returns a solver for one run; its caller disposes it
   * @throws UnsupportedError for other levels where the times are discrete
   */
  solver(sigmas?: readonly number[]): Solver;
}

/** Noise levels, and what the function is told at each of them. */
export interface NoiseLevels {
  /** Falling; one more than there are steps. */
  readonly sigmas: readonly number[];
  /** The time that the function is given at a noise level; the level itself unless given. */
  readonly timeOf?: (sigma: number) => number;
}

/** The times of a run: noise levels to take Euler steps over, or a scheduler. */
export type Times = NoiseLevels | { readonly scheduler: Scheduler };

/** A scheduler of one's own. */
export interface SchedulerDefinition extends NoiseLevels {
  /** What policies call it. */
  readonly name: string;
  /**
   * The latent after a step; both tensors stay the loop's, the result is new. Called inside `tf.tidy`.
   * @param sample the latent before the step `[B, …]`
   * @param output what the function predicted, after guidance
   * @param step index and noise levels of the step
   * @returns the latent after the step
   */
  step(sample: tf.Tensor, output: tf.Tensor, step: StepLevels): tf.Tensor;
  /**
   * The output whose step leads from `sample` to `next`, if the step depends on nothing else. With it, corrections are
   * fitted to lead back to the uncached run; without it, to the outputs that the uncached run had. Inside `tf.tidy`.
   * @param sample the latent before the step `[B, …]`
   * @param next the latent that the step is to lead to
   * @param step index and noise levels of the step
   * @returns the output, of the latent's shape
   */
  aim?(sample: tf.Tensor, next: tf.Tensor, step: StepLevels): tf.Tensor;
}

/** Which step a solver takes. */
export interface StepLevels {
  /** From 0. */
  readonly index: number;
  /** Noise level before the step. */
  readonly sigma: number;
  /** Noise level after the step. */
  readonly sigmaNext: number;
}

/**
 * A scheduler from a step function.
 * @param definition name, noise levels, times and the step
 * @returns the scheduler
 * @throws UsageError unless the noise levels fall
 * @example
 * // A model whose time runs from 0 to 1.
 * const scheduler = defineScheduler({
 *   name: 'forward-euler',
 *   sigmas: [1, 0.75, 0.5, 0.25, 0],
 *   timeOf: sigma => 1 - sigma,
 *   step: (x, v, { sigma, sigmaNext }) => tf.add(x, tf.mul(v, sigma - sigmaNext)),
 * });
 */
export function defineScheduler(definition: SchedulerDefinition): Scheduler {
  const { name, sigmas: base, timeOf = sigma => sigma, step, aim } = definition;
  requireFalling(base);
  if (typeof timeOf !== 'function') throw wrongArgument('timeOf', timeOf, 'a function of the noise level');
  const time = (sigma: number): number => {
    const value = timeOf(sigma);
    if (Number.isFinite(value)) return value;
    throw wrongArgument('timeOf', value, `a function that gives a number; at the noise level ${sigma} it did not`);
  };
  return {
    name,
    sigmas: base,
    solver(sigmas = base) {
      const at = (index: number): StepLevels => ({
        index,
        sigma: sigmas[index] as number,
        sigmaNext: sigmas[index + 1] as number,
      });
      return {
        sigmas,
        timesteps: sigmas.slice(0, -1).map(time),
        // A copy, so that a step may return what it was given.
        step: (index, output, sample) => tf.tidy(() => step(sample, output, at(index)).clone()),
        ...(aim && {
          aim: (index: number, sample: tf.Tensor, next: tf.Tensor) =>
            tf.tidy(() => aim(sample, next, at(index)).clone()),
        }),
        ...stateless,
        dispose() {},
      };
    },
  };
}

/**
 * Euler steps of a flow: `x += (σ' - σ) · v`.
 * @param levels noise levels, and the times of the function
 * @returns the scheduler; policies call it `euler`
 * @throws UsageError unless the noise levels fall
 */
export function eulerScheduler(levels: NoiseLevels): Scheduler {
  const euler = defineScheduler({
    ...levels,
    name: EULER,
    step: (sample, output, { sigma, sigmaNext }) => tf.add(sample, tf.mul(output, sigmaNext - sigma)),
    aim: (sample, next, { sigma, sigmaNext }) => tf.div(tf.sub(next, sample), sigmaNext - sigma),
  });
  return {
    ...euler,
    solver(sigmas) {
      const solver = euler.solver(sigmas);
      const clean = (index: number, output: tf.Tensor, sample: tf.Tensor): tf.Tensor =>
        tf.tidy(() => tf.sub(sample, tf.mul(output, solver.sigmas[index] as number)));
      return { ...solver, clean };
    },
  };
}

const EULER = 'Euler';

/** The scheduler that options name, or Euler steps over their noise levels. */
export function schedulerOf(times: Times): Scheduler {
  requireObject('options', times, 'an object with noise levels (sigmas) or a scheduler');
  if ('scheduler' in times && times.scheduler !== undefined) {
    const { scheduler } = times;
    if (isObject(scheduler) && typeof scheduler.solver === 'function') return scheduler;
    throw wrongArgument('scheduler', scheduler, 'a scheduler, as `defineScheduler` makes it');
  }
  return eulerScheduler(times as NoiseLevels);
}

function requireFalling(sigmas: readonly number[]): void {
  requireList('sigmas', sigmas, Number.isFinite, 'a list of falling noise levels, one more than there are steps');
  const falls = sigmas.every((s, i) => s >= 0 && (i === 0 || s < (sigmas[i - 1] as number)));
  if (falls && sigmas.length >= 2) return;
  throw new UsageError('Noise levels must fall, from the first to the last, and be at least two numbers from 0.', {
    hint: 'A model whose time rises is told its time by `timeOf`, for example `sigma => 1 - sigma`.',
  });
}
