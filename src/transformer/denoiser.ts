import type { Tensor } from '@tensorflow/tfjs-core';
import type { Params } from '../nn/params';
import type { WeightStore } from '../weights/parameters';
import type { PerRow } from './timesteps';

/**
 * Lets a caller see, or replace, a named sub-result of a model. `compute` must be called at most once.
 * Golden-case verification records through it, TaylorSeer predicts attention outputs through it.
 */
export interface Tap {
  /**
   * A named sub-result: computed, or replaced.
   * @param name name of the sub-result, as in the reference
   * @param compute makes it; to be called at most once
   * @returns what the model goes on with
   */
  <T extends Tensor | readonly Tensor[]>(name: string, compute: () => T): T;
  /**
   * Wants to see also what the model itself has no need of, because it does two things in one.
   * @param name name of the sub-result, as in the reference
   * @param compute makes it; what it makes is the tap's
   */
  aside?(name: string, compute: () => Tensor): void;
}

/**
 * The tap that does nothing.
 * @param _name not looked at
 * @param compute makes the sub-result
 * @returns what `compute` makes
 */
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
  /** The token streams. */
  readonly tokens: Tokens;
  /** What every block reads and none changes. */
  readonly shared: Shared;
}

/** One block of the expensive middle part. Its parameters are those under `name` in the checkpoint. */
export interface Block<Shared = unknown> {
  /** Prefix of its parameters in the checkpoint, such as `transformer_blocks.3`. */
  readonly name: string;
  /**
   * Pure: new tokens from old; unchanged tensors may be passed through. Runs inside `tf.tidy`.
   * @param params the block's parameters; the store's
   * @param tokens tokens before the block
   * @param shared what every block reads
   * @param tap sees or replaces named results
   * @returns tokens after the block
   */
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
  /** The store that its parameters come from; whoever made it disposes it. */
  readonly weights: WeightStore;
  /** The middle part, in order. */
  readonly blocks: readonly Block<Shared>[];
  /**
   * Does the work that no step changes, once per run.
   * @param cond what the family conditions on, such as text states; the tensors stay the caller's
   * @param shape the latent's shape `[B, …]`
   * @param tap sees named results
   * @returns what `embed` takes; the caller disposes the tensors in it
   */
  prepare(cond: Cond, shape: readonly number[], tap?: Tap): Context;
  /**
   * Cheap: latent to tokens, time to modulation.
   * @param x latent in the model's own layout
   * @param timestep in the scheduler's units (`Solver.timesteps`), one number or one per row of the batch; a tensor
   * `[B]` where the numbers are not known yet
   * @param context what `prepare` returned
   * @param tap sees named results
   * @returns tokens and what the blocks share; the caller disposes the tensors in it
   */
  embed(x: Tensor, timestep: PerRow, context: Context, tap?: Tap): Stream<Shared>;
  /**
   * Cheap: tokens back to a prediction of the latent's shape.
   * @param stream tokens after the last block, and what the blocks share
   * @param tap sees named results
   * @returns the prediction; the caller disposes it
   */
  head(stream: Stream<Shared>, tap?: Tap): Tensor;
  /**
   * The modulated input of the first block, which TeaCache compares from step to step.
   * @param stream what `embed` returned
   * @returns the signal; the caller disposes it
   */
  signal(stream: Stream<Shared>): Promise<Tensor>;
}
