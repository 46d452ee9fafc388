import type { Tensor } from '@tensorflow/tfjs-core';
import { ShapeError, UnsupportedError } from '../errors';
import { release } from '../nn/scope';
import { type Denoiser, type Stream, type Tap, type Tokens, untapped } from '../transformer/denoiser';
import { runBlocks } from '../transformer/run';
import { callOwned } from './owned';

/** The three parts of a model at one point, for caches that reach inside. */
export interface ModelParts {
  /**
   * Embedded tokens; made once, owned by the evaluation.
   * @returns tokens and what the blocks share
   */
  embed(): Stream;
  /**
   * Runs blocks on `stream`; the new tokens are the caller's. A tap that answers an `….attention` without computing
   * it makes the block cheaper, and `spent` says so.
   * @param stream tokens and what the blocks share
   * @param range the first block and one past the last, all by default; and a tap
   * @returns tokens after the last of these blocks; the caller disposes them
   */
  blocks(stream: Stream, range?: { from?: number; to?: number; tap?: Tap }): Promise<Tokens>;
  /**
   * The prediction from `tokens`, which stay the caller's, as does the result.
   * @param tokens tokens after the last block
   * @param tap sees named results on the way
   * @returns the model's output; the caller disposes it
   */
  head(tokens: Tokens, tap?: Tap): Tensor;
  /**
   * Modulated input of the first block; the caller's.
   * @returns the signal that TeaCache compares; the caller disposes it
   */
  signal(): Promise<Tensor>;
  /** Number of blocks. */
  readonly blockCount: number;
}

/** One evaluation of a model at one latent and time, of which nothing is computed until it is asked for. */
export interface Evaluation {
  /** The latent; borrowed. */
  readonly sample: Tensor;
  /**
   * The whole model's output; the caller's.
   * @returns the output; the caller disposes it
   */
  compute(): Promise<Tensor>;
  /** Present for models that can be cut in three. */
  readonly parts?: ModelParts;
  /**
   * How much of one full forward pass has been computed so far: blocks run / all blocks. A block whose attention was
   * predicted counts without the share that attention has of a block (`attentionShare`).
   * @returns from 0 to 1
   */
  spent(): number;
  /** Releases what the evaluation holds. */
  release(): void;
}

/** `evaluation.parts`, or an error that says which method asked for them. */
export function partsOf(evaluation: Evaluation, method: string): ModelParts {
  if (evaluation.parts) return evaluation.parts;
  throw new UnsupportedError(`${method} works inside the model, and this model is a single function.`, {
    hint: 'Use the site "output" or "velocity", or give the model as embed, blocks and head.',
  });
}

/** An evaluation of a denoiser, which `signal` stops between two blocks. */
export function evaluateDenoiser(
  model: Denoiser,
  sample: Tensor,
  timestep: number | readonly number[],
  context: unknown,
  signal?: AbortSignal,
): Evaluation {
  let stream: Stream | undefined;
  let blocksRun = 0;
  const parts: ModelParts = {
    blockCount: model.blocks.length,
    embed: () => (stream ??= model.embed(sample, timestep, context)),
    blocks(from, range = {}) {
      let saved = 0;
      const tap = watched(range.tap ?? untapped, share => {
        saved = share;
      });
      const onBlock = (): void => {
        blocksRun += 1 - saved;
        saved = 0;
      };
      return runBlocks(model, from, { ...range, tap, onBlock, signal });
    },
    head: (tokens, tap = untapped) => model.head({ tokens, shared: parts.embed().shared }, tap),
    signal: () => model.signal(parts.embed()),
  };
  return {
    sample,
    parts,
    async compute() {
      const tokens = await parts.blocks(parts.embed());
      try {
        return parts.head(tokens);
      } finally {
        release(tokens);
      }
    },
    spent: () => blocksRun / model.blocks.length,
    release() {
      release(stream);
      stream = undefined;
    },
  };
}

/** `tap`, and `onPredicted` told whenever it answers an attention without computing it. */
function watched(tap: Tap, onPredicted: (share: number) => void): Tap {
  return (name, compute) => {
    let computed = false;
    const value = tap(name, () => {
      computed = true;
      return compute();
    });
    if (!computed && name.endsWith('.attention')) onPredicted(attentionShare([value].flat() as Tensor[]));
    return value;
  };
}

/**
 * The share of a block's multiply-adds that is saved by not computing its attention, whose results (one for each
 * stream of tokens) tell its sizes. For each token of width D with n keys, attention takes 3 D² for queries, keys and
 * values and 2 n D for the two products with them; a block takes 9 D² more. Its way out, D², is left with the block:
 * where FLUX joins it to the feed-forward it runs all the same.
 */
export function attentionShare(results: readonly Tensor[]): number {
  const width = results[0]?.shape.at(-1) ?? 1;
  const keys = results.reduce((sum, t) => sum + (t.shape.at(-2) ?? 0), 0);
  return (3 * width + 2 * keys) / (12 * width + 2 * keys);
}

/**
 * An evaluation of any function of a latent. The tensors that the function did not make stay its owner's.
 * @throws ShapeError (from `compute`) when the output has not the latent's shape
 */
export function evaluateFunction(sample: Tensor, velocity: (sample: Tensor) => Promise<Tensor> | Tensor): Evaluation {
  let calls = 0;
  return {
    sample,
    async compute() {
      calls++;
      const output = await callOwned(sample, velocity);
      if (output.shape.join() === sample.shape.join()) return output;
      output.dispose();
      throw new ShapeError(
        `A velocity function returned shape [${output.shape}] for a latent of shape [${sample.shape}].`,
        { hint: 'Return what the latent changes by, element by element.' },
      );
    },
    spent: () => calls,
    release() {},
  };
}
