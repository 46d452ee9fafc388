import * as tf from '@tensorflow/tfjs-core';
import { stateless } from '../nn/state';
import type { Solver, TimeGrid } from './solver';

/**
 * Euler steps with velocities from picture to noise, on any falling grid of noise levels: `x += (σ_next - σ) · v`.
 * @param floor the least noise level that a velocity was made with, in models that are sampled so
 */
export function eulerSteps(grid: TimeGrid, floor = 0): Solver & Required<Pick<Solver, 'aim' | 'clean'>> {
  const length = (index: number): number =>
    Math.fround((grid.sigmas[index + 1] as number) - (grid.sigmas[index] as number));
  return {
    ...grid,
    ...stateless,
    step: (index, output, sample) => tf.tidy(() => tf.add(sample, tf.mul(output, length(index)))),
    aim: (index, sample, next) => tf.tidy(() => tf.div(tf.sub(next, sample), length(index))),
    clean: (index, output, sample) =>
      tf.tidy(() => tf.sub(sample, tf.mul(output, Math.max(floor, grid.sigmas[index] as number)))),
    dispose() {},
  };
}
