import type { Tensor } from '@tensorflow/tfjs-core';
import type { StepInfo } from '../cache/policy';
import type { Solver, TimeGrid } from '../schedulers/solver';

/** Step `index` of a run over these times. */
export function stepOf({ timesteps, sigmas }: TimeGrid, index: number): StepInfo {
  return {
    index,
    steps: timesteps.length,
    sigma: sigmas[index] as number,
    sigmaNext: sigmas[index + 1] as number,
  };
}

/** A latent on its way through a solver's steps, whoever says what the model predicts at each. */
export interface Trajectory {
  step(index: number): StepInfo;
  /** The latent now; borrowed, and gone after the next `advance`. */
  sample(): Tensor;
  /** The finished latent as a prediction has it, the caller's; nothing where the solver does not say. */
  clean(index: number, output: Tensor): Tensor | undefined;
  /** Takes step `index` with a prediction, which stays the caller's. */
  advance(index: number, output: Tensor): void;
  /** Releases the latent and the solver. */
  dispose(): void;
}

/** Begins at `latents`, which stay the caller's; the solver is the trajectory's from now on. */
export function beginTrajectory(start: {
  readonly solver: Solver;
  readonly latents: Tensor;
  /** Fresh normal noise of the latent's shape, for solvers that ask for it. */
  readonly noise?: (() => Tensor) | undefined;
}): Trajectory {
  const { solver, noise } = start;
  let sample = start.latents.clone();
  return {
    step: index => stepOf(solver, index),
    sample: () => sample,
    clean: (index, output) => solver.clean?.(index, output, sample),
    advance(index, output) {
      const next = solver.step(index, output, sample, noise);
      sample.dispose();
      sample = next;
    },
    dispose() {
      sample.dispose();
      solver.dispose();
    },
  };
}
