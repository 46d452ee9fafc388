import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../../errors';
import { breathe } from '../../io/turn';
import type { Params } from '../../nn/params';
import { tidy } from '../../nn/scope';
import type { WeightStore } from '../../weights/parameters';

/** What a text encoder makes of a batch of prompts. The caller disposes the tensors. */
export interface EncodedPrompts {
  /** States after the last norm, `[B, N, D]`. */
  readonly lastHiddenState: tf.Tensor;
  /** CLIP: the state at the end of each text, `[B, D]`. */
  readonly pooled?: tf.Tensor;
}

/** Sees a named intermediate tensor; it is valid only during the call. */
export type See = (name: string, value: tf.Tensor) => void;

export interface EncodeOptions {
  /** 1 for tokens, 0 for padding that no token may look at. All tokens by default. */
  readonly mask?: readonly (readonly number[])[] | undefined;
  /** Sees `embeddings`, `layers.0`, …: for comparison with a reference. */
  readonly see?: See | undefined;
  /** When aborted, encoding ends before the next layer, with an InterruptedError. */
  readonly signal?: AbortSignal | undefined;
}

/** A text encoder. Its layers are brought in one at a time, so that a streaming store needs memory for one. */
export interface PromptEncoder {
  /** Width D of its states. */
  readonly width: number;
  /** @param ids rows of token ids, all of one length `[B, N]` */
  encode(ids: readonly (readonly number[])[], options?: EncodeOptions): Promise<EncodedPrompts>;
}

/** Batch and length of rows of ids. @throws ShapeError when they differ in length or exceed `limit` */
export function idShape(ids: readonly (readonly number[])[], limit = Number.POSITIVE_INFINITY): [number, number] {
  const length = ids[0]?.length ?? 0;
  if (length === 0 || ids.some(row => row.length !== length)) {
    throw new ShapeError('A text encoder takes rows of token ids, all of one length.', {
      hint: 'Bring them to one length with the tokenizer: tokenizer.pad(text, length).',
    });
  }
  if (length > limit) {
    throw new ShapeError(`${length} tokens are more than the ${limit} that this text encoder has positions for.`, {
      hint: `Cut the prompt with the tokenizer: tokenizer.pad(text, ${limit}).`,
    });
  }
  return [ids.length, length];
}

/**
 * Runs layers one after another, each in its own scope; `hidden` is disposed. Between layers that take long, the event
 * loop has its turn.
 * @param names module prefixes of the layers
 */
export async function runLayers(
  weights: WeightStore,
  names: readonly string[],
  hidden: tf.Tensor,
  layer: (params: Params, hidden: tf.Tensor, index: number) => tf.Tensor,
  { see, signal }: EncodeOptions = {},
): Promise<tf.Tensor> {
  let state = hidden;
  try {
    for (const [i, name] of names.entries()) {
      await breathe(signal);
      const next = await weights.use(name, params => tidy(() => layer(params, state, i)), names[i + 1]);
      state.dispose();
      state = next;
      see?.(`layers.${i}`, state);
    }
    return state;
  } catch (error) {
    tf.dispose(state);
    throw error;
  }
}
