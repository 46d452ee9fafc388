import type { Tensor } from '@tensorflow/tfjs-core';
import type { Params } from '../nn/params';
import type { WeightStore } from '../weights/parameters';
import type { PerRow } from './timesteps';

/**
 * Lets a caller see, or replace, a named sub-result of a model. `compute` must be called at most once.
 * Golden-case verification records through it, TaylorSeer predicts attention outputs through it.
 */
export interface Tap {
  <T extends Tensor | readonly Tensor[]>(name: string, compute: () => T): T;
  /** Wants to see also what the model itself has no need of, because it does two things in one. */
  aside?(name: string, compute: () => Tensor): void;
}

/** The tap that does nothing. */
export const untapped: Tap = (_name, compute) => compute();

/** The token streams that the blocks transform. */
export interface Tokens {
  /** Image or video tokens `[B, N, D]`. */
  readonly hidden: Tensor;
  /** Text tokens `[B, T, D]`, in models whose blocks also transform the text. */
  readonly context?: Tensor;
}

/** Tokens plus what every block reads and none changes (time embedding, rotary tables, text states, …). */
export interface Stream<Shared = unknown> {
  readonly tokens: Tokens;
  readonly shared: Shared;
}

/** One block of the expensive middle part. Its parameters are those under `name` in the checkpoint. */
export interface Block<Shared = unknown> {
  readonly name: string;
  /** Pure: new tokens from old; unchanged tensors may be passed through. Runs inside `tf.tidy`. */
  run(params: Params, tokens: Tokens, shared: Shared, tap: Tap): Tokens;
}

/**
 * A diffusion transformer, cut where a cache cuts it: `head(blocks(embed(x)))`.
 * `prepare` does the work that no step changes (text projection, position tables), once per run.
 *
 * Ownership: every tensor in what `prepare`, `embed` and `head` return belongs to the caller, who disposes it;
 * what `embed` takes over from the context it shares (`nn/scope`), so that the context outlives the step.
 */
export interface Denoiser<Cond = unknown, Context = unknown, Shared = unknown> {
  readonly weights: WeightStore;
  readonly blocks: readonly Block<Shared>[];
  /** Once per run. `shape` is the latent's shape `[B, …]`. Tensors of `cond` stay the caller's. */
  prepare(cond: Cond, shape: readonly number[], tap?: Tap): Context;
  /**
   * Cheap: latent to tokens, time to modulation.
   * @param x latent in the model's own layout
   * @param timestep in the scheduler's units (`Solver.timesteps`), one number or one per row of the batch; a tensor
   * `[B]` where the numbers are not known yet
   */
  embed(x: Tensor, timestep: PerRow, context: Context, tap?: Tap): Stream<Shared>;
  /** Cheap: tokens back to a prediction of the latent's shape. */
  head(stream: Stream<Shared>, tap?: Tap): Tensor;
  /** The modulated input of the first block, which TeaCache compares from step to step. */
  signal(stream: Stream<Shared>): Promise<Tensor>;
}
