import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { parseState, tensorState } from '../nn/state';
import { none } from './none';
import type { CachePolicy, CacheRun } from './policy';

/** The noise levels at which a schedule computes, and the last one. */
export function computedLevels(sigmas: readonly number[], reused: readonly boolean[]): number[] {
  return sigmas.filter((_, i) => i === sigmas.length - 1 || !reused[i]);
}

/**
 * No cache, but fewer steps on a chosen grid: those steps of the base schedule that `reused` leaves are taken, longer.
 * With Euler steps this is exactly what reusing the velocity on that schedule gives, so it is the baseline that every
 * cache has to beat.
 */
export function coarseGrid(reused: readonly boolean[]): CachePolicy {
  return { ...none(), name: 'fewer-steps-searched', adjust: sigmas => computedLevels(sigmas, reused) };
}

const stateForm = z.object({ output: tensorState, length: z.number() }).nullable();

/**
 * The same grid with steps of second order (Adams–Bashforth): each takes the velocity extrapolated to its own middle
 * from the last two, `v + h / 2h' · (v - v')`. Meant for solvers whose own step is Euler's.
 */
export function coarseMultistep(reused: readonly boolean[]): CachePolicy {
  const computes = none();
  return {
    ...coarseGrid(reused),
    name: 'multistep-searched',
    begin(run): CacheRun {
      let before: { readonly output: tf.Tensor; readonly length: number } | undefined;
      return {
        branch: () => computes.begin(run).branch(),
        correct(step, _sample, { value }) {
          const length = step.sigma - step.sigmaNext;
          const reach = before ? length / (2 * before.length) : 0;
          const last = before?.output;
          const corrected = last ? tf.tidy(() => tf.add(value, tf.mul(tf.sub(value, last), reach))) : value.clone();
          last?.dispose();
          before = { output: value.clone(), length };
          return corrected;
        },
        bytes: () => (before ? before.output.size * 4 : 0),
        state: () => before ?? null,
        restore(state) {
          const kept = parseState(stateForm, state);
          before?.output.dispose();
          before = kept ? { ...kept, output: kept.output.clone() } : undefined;
        },
        dispose: () => before?.output.dispose(),
      };
    },
  };
}
