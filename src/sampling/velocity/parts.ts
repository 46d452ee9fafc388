import * as tf from '@tensorflow/tfjs-core';
import { copied } from '../../cache/owned';
import { ShapeError } from '../../errors';
import type { Block, Denoiser, Stream } from '../../transformer/denoiser';
import { residentStore } from '../../weights/store';

/**
 * A model cut in three, `head(blocks(embed(x)))`, so that a cache can keep the residual of the expensive middle (the
 * site `hidden`) and methods that look inside can decide (TeaCache, first-block cache, MagCache). All parts are
 * synchronous. Tensors that they make are taken over; tensors that they were given or hold stay theirs.
 */
export interface VelocityParts<Ctx = unknown, Shared = unknown> {
  /**
   * Cheap: the latent as tokens, `[B, …]`, and whatever the other parts read besides (the time's embedding, say).
   * Tensors in nested arrays and plain objects of `shared` are found and taken care of.
   * @param x the latent `[B, …]`; it stays its owner's
   * @param t the time, in the model's own units
   * @param ctx what the caller of the loop gave as `ctx`
   * @returns tokens `[B, …]` and what the other parts read; both are taken over
   */
  embed(x: tf.Tensor, t: number, ctx: Ctx): { readonly hidden: tf.Tensor; readonly shared: Shared };
  /** The expensive middle, one function or one a block: tokens to tokens of the same shape. */
  readonly blocks: VelocityBlock<Shared> | readonly VelocityBlock<Shared>[];
  /**
   * Cheap: tokens back to a velocity of the latent's shape.
   * @param hidden tokens of the last block
   * @param shared what `embed` returned
   * @returns the velocity, of the latent's shape; it is taken over
   */
  head(hidden: tf.Tensor, shared: Shared): tf.Tensor;
  /**
   * What TeaCache compares from step to step; the embedded tokens unless given.
   * @param hidden tokens that `embed` returned
   * @param shared what `embed` returned
   * @returns a tensor of the same shape at every step; it is taken over
   */
  signal?(hidden: tf.Tensor, shared: Shared): tf.Tensor;
}

/** One block of the middle part. Declared as a method, so that blocks which know what is shared are blocks to all. */
export type VelocityBlock<Shared = unknown> = {
  /**
   * Tokens to tokens of the same shape; both tensors stay their owners'.
   * @param hidden tokens `[B, …]`
   * @param shared what `embed` returned
   * @returns new tokens
   */
  run(hidden: tf.Tensor, shared: Shared): tf.Tensor;
}['run'];

/** What `embed` shared: in a function, so that nothing that releases a stream looks into it. */
interface Held {
  readonly tensors: readonly tf.Tensor[];
  readonly value: () => unknown;
}

/** The denoiser interface over a caller's three parts, so that every cache works on them. */
export function denoiserOf<Ctx>(parts: VelocityParts<Ctx>, ctx: () => Ctx): Denoiser {
  const functions = [parts.blocks].flat();
  const blocks = functions.map((run, i): Block => {
    return {
      name: `blocks.${i}`,
      run(_params, { hidden }, shared) {
        const next = run(hidden, (shared as Held).value());
        requireShape(next, hidden.shape, `Block ${i + 1} of the velocity`);
        return { hidden: next };
      },
    };
  });
  const sharedOf = ({ shared }: Stream): unknown => (shared as Held).value();
  return {
    weights: residentStore(new Map()),
    blocks,
    prepare: () => undefined,
    embed(x, timestep) {
      let value: unknown;
      const [hidden, ...tensors] = tf.tidy(() => {
        const embedded = parts.embed(x, timestep as number, ctx());
        const shared = copied(embedded.shared);
        value = shared.value;
        return [embedded.hidden.clone(), ...shared.tensors];
      });
      return { tokens: { hidden: hidden as tf.Tensor }, shared: { tensors, value: () => value } satisfies Held };
    },
    head: stream => tf.tidy(() => parts.head(stream.tokens.hidden, sharedOf(stream)).clone()),
    signal: async stream => {
      const { hidden } = stream.tokens;
      return tf.tidy(() => (parts.signal?.(hidden, sharedOf(stream)) ?? hidden).clone());
    },
  };
}

function requireShape(tokens: tf.Tensor, shape: readonly number[], what: string): void {
  if (tokens.shape.join() === shape.join()) return;
  throw new ShapeError(`${what} returned shape [${tokens.shape}] for tokens of shape [${shape}].`, {
    hint: 'A block returns tokens of the shape it was given, so that their residual can be kept.',
  });
}
