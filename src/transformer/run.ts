import type * as tf from '@tensorflow/tfjs-core';
import { breathe } from '../io/turn';
import { release, share, tidy } from '../nn/scope';
import { type Denoiser, type Stream, type Tap, type Tokens, untapped } from './denoiser';

/** Which blocks run, and who looks on. */
export interface BlockRange {
  /** First block to run; 0 by default. */
  readonly from?: number | undefined;
  /** One past the last block to run; all by default. */
  readonly to?: number | undefined;
  /** Sees or replaces named results; `untapped` unless given. */
  readonly tap?: Tap | undefined;
  /** Sees the tokens after each block, and is waited for; they are valid only until then. */
  readonly onBlock?: ((index: number, tokens: Tokens) => void | Promise<void>) | undefined;
  /** Stops the pass between two blocks. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a range of blocks, one `tidy` a block, so that memory holds one block's intermediates at a time. Between blocks
 * that take long, the event loop has its turn.
 * @returns new tokens that the caller owns; those of `stream` are left alone
 * @throws InterruptedError when `signal` is aborted
 */
export async function runBlocks(model: Denoiser, stream: Stream, range: BlockRange = {}): Promise<Tokens> {
  const { from = 0, to = model.blocks.length, tap = untapped, onBlock, signal } = range;
  let tokens = share(stream.tokens);
  try {
    for (let i = from; i < to; i++) {
      await breathe(signal);
      const block = model.blocks[i]!;
      const next = await model.weights.use(
        block.name,
        params => tidy(() => share(block.run(params, tokens, stream.shared, tap))),
        i + 1 < to ? model.blocks[i + 1]?.name : undefined,
      );
      release(tokens);
      tokens = next;
      await onBlock?.(i, tokens);
    }
    return tokens;
  } catch (error) {
    release(tokens);
    throw error;
  }
}

/**
 * The whole forward pass, `head(blocks(embed(x)))`.
 * @param model the denoiser
 * @param x latent `[B, …]`; it stays the caller's
 * @param timestep in the scheduler's units, one number or one per row of the batch
 * @param context what `Denoiser.prepare` returned; it stays the caller's
 * @param range a tap, and who sees the tokens after each block
 * @returns the prediction, owned by the caller
 */
export async function forward<Context>(
  model: Denoiser<unknown, Context>,
  x: tf.Tensor,
  timestep: number | readonly number[],
  context: Context,
  range: Omit<BlockRange, 'from' | 'to'> = {},
): Promise<tf.Tensor> {
  const stream = model.embed(x, timestep, context, range.tap);
  let tokens: Tokens | undefined;
  try {
    tokens = await runBlocks(model as Denoiser, stream, range);
    return model.head({ tokens, shared: stream.shared }, range.tap);
  } finally {
    release([tokens, stream]);
  }
}
