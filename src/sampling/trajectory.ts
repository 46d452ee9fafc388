import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import type { StepInfo } from '../cache/policy';
import { UnsupportedError } from '../errors';
import {
  anyState,
  isResumable,
  type Keeper,
  parseState,
  type Resumable,
  type State,
  stateless,
  tensorState,
} from '../nn/state';
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

/** Fresh normal noise of a latent's shape; a run can be taken up in the middle where the noise can. */
export type Noise = (() => Tensor) & Keeper;

/** A latent on its way through a solver's steps, whoever says what the model predicts at each. */
export interface Trajectory extends Resumable {
  step(index: number): StepInfo;
  /** The latent now; borrowed, and gone after the next `advance`. */
  sample(): Tensor;
  /** The finished latent as a prediction has it, the caller's; nothing where the solver does not say. */
  clean(index: number, output: Tensor): Tensor | undefined;
  /** Takes step `index` with a prediction, which stays the caller's. */
  advance(index: number, output: Tensor): void;
  /** @throws UnsupportedError for a sampler whose runs cannot be taken up in the middle */
  state(): State;
  /** Releases the latent and the solver. */
  dispose(): void;
}

/** Begins at `latents`, which stay the caller's; the solver is the trajectory's from now on. */
export function beginTrajectory(start: {
  readonly solver: Solver;
  readonly latents: Tensor;
  /** Fresh normal noise of the latent's shape, for solvers that ask for it. */
  readonly noise?: Noise | undefined;
}): Trajectory {
  const { solver, noise } = start;
  let sample = start.latents.clone();
  const keepers: readonly Keeper[] = [solver, noise ?? stateless];
  return {
    step: index => stepOf(solver, index),
    sample: () => sample,
    clean: (index, output) => solver.clean?.(index, output, sample),
    advance(index, output) {
      const next = solver.step(index, output, sample, noise);
      sample.dispose();
      sample = next;
    },
    state: () => ({ sample, keepers: keepers.map(keeper => resumable(keeper).state()) }),
    restore(state) {
      const kept = parseState(stateForm, state);
      for (const [i, keeper] of keepers.entries()) resumable(keeper).restore(kept.keepers[i] as State);
      sample.dispose();
      sample = kept.sample.clone();
    },
    dispose() {
      sample.dispose();
      solver.dispose();
    },
  };
}

const stateForm = z.object({ sample: tensorState, keepers: z.array(anyState).length(2) });

function resumable(keeper: Keeper): Resumable {
  if (isResumable(keeper)) return keeper;
  throw new UnsupportedError('A run of this sampler cannot be taken up in the middle.', {
    hint: 'Draw without checkpoints, or give the sampler and its noise `state` and `restore`.',
  });
}
