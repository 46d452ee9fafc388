import type { Tensor } from '@tensorflow/tfjs-core';
import type { Keeper } from '../nn/state';

/** The times of one run. */
export interface TimeGrid {
  /** What the model is given as the time of each step, in the model's units; length N. */
  readonly timesteps: readonly number[];
  /** Noise levels, falling, length N + 1; the last is where the run ends. */
  readonly sigmas: readonly number[];
}

/**
 * One sampling run: advances a latent step by step. Multistep solvers keep past outputs until `dispose`. Those that keep
 * nothing say so (`stateless`): a run cannot be taken up in the middle with a solver that has no `state`.
 */
export interface Solver extends TimeGrid, Keeper {
  /**
   * Takes one step.
   * @param index which step, 0 … N-1, in order
   * @param output what the model returned (after guidance)
   * @param sample the latent before the step
   * @param noise fresh normal noise of the latent's shape, for solvers that ask for it
   * @returns the latent after the step; the caller owns it
   */
  step(index: number, output: Tensor, sample: Tensor, noise?: () => Tensor): Tensor;
  /**
   * The output whose step leads from `sample` to `next`. Absent in solvers whose step also depends on former outputs.
   * @param index which step, 0 … N-1
   * @param sample the latent before the step
   * @param next the latent that the step is to lead to
   * @returns a new tensor; the caller disposes it
   */
  aim?(index: number, sample: Tensor, next: Tensor): Tensor;
  /**
   * The finished latent as a prediction has it: all noise taken away at once. Rough at first, it is what previews show.
   * @param index which step, 0 … N-1
   * @param output what the model returned (after guidance)
   * @param sample the latent before the step
   * @returns a new tensor; the caller disposes it
   */
  clean?(index: number, output: Tensor, sample: Tensor): Tensor;
  /** Releases past outputs. */
  dispose(): void;
}
