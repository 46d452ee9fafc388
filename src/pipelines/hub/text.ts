import * as tf from '@tensorflow/tfjs-core';
import { loadTextEncoder } from '../../models/text/load';
import { release } from '../../nn/scope';
import { modelFiles } from '../../text/tokenizers/files';
import { loadTokenizer } from '../../text/tokenizers/load';
import { componentOf, type OpenModel } from '../../weights/open-model';
import { streamedStore } from '../../weights/streamed-store';

/** Texts for one of a pipeline's text encoders. */
export interface TextRequest {
  /** Folders of the two: `text_encoder` and `tokenizer`, … */
  readonly encoder: string;
  readonly tokenizer: string;
  readonly texts: readonly string[];
  /** Tokens that every text is cut or padded to; the tokenizer's own length unless given. */
  readonly length?: number;
  /** Whether padding is hidden from the encoder. */
  readonly masked?: boolean;
}

/** What a text encoder made of some texts. The tensors belong to the caller. */
export interface EncodedTexts {
  /** Token ids and, 1 for a token and 0 for padding, the mask; rows of one length. */
  readonly ids: readonly (readonly number[])[];
  readonly mask: readonly (readonly number[])[];
  /** `[B, N, D]`. */
  readonly states: tf.Tensor;
  /** CLIP's `[B, D]`. */
  readonly pooled?: tf.Tensor;
}

/** Tokens that CLIP was trained with, for tokenizers that do not say their length. */
const CLIP_LENGTH = 77;

/**
 * Loads a text encoder, runs it, and releases it before returning. Its layers are read one at a time, so that the
 * largest needs the memory of one.
 */
export async function encodeTexts(model: OpenModel, request: TextRequest): Promise<EncodedTexts> {
  const tokenizer = await loadTokenizer(modelFiles(model, request.tokenizer));
  const length = request.length ?? tokenizer.maxLength ?? CLIP_LENGTH;
  const padded = request.texts.map(text => tokenizer.pad(text, length));
  const [ids, mask] = [padded.map(p => p.ids), padded.map(p => p.mask)];
  const { encoder, dispose } = await loadTextEncoder(componentOf(model, request.encoder), streamedStore);
  try {
    const { lastHiddenState: states, pooled } = await encoder.encode(ids, request.masked ? { mask } : {});
    return { ids, mask, states, ...(pooled && { pooled }) };
  } finally {
    dispose();
  }
}

/** Sets of texts that are remembered: a command that draws many pictures of few prompts loads the encoder once. */
const REMEMBERED = 16;

interface Copy {
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

type Remembered = Omit<EncodedTexts, 'states' | 'pooled'> & { readonly states: Copy; readonly pooled?: Copy };

const copyOf = async (t: tf.Tensor): Promise<Copy> => ({ values: await t.data<'float32'>(), shape: t.shape });
const tensorOf = ({ values, shape }: Copy): tf.Tensor => tf.tensor(values, [...shape]);

/** `encode`, asked once for each set of texts; what it made is kept outside the backend. */
export function remembering(
  encode: (request: TextRequest) => Promise<EncodedTexts>,
): (request: TextRequest) => Promise<EncodedTexts> {
  const known = new Map<string, Remembered>();
  return async request => {
    const key = JSON.stringify(request);
    let found = known.get(key);
    if (!found) {
      const fresh = await encode(request);
      const { states, pooled, ...rest } = fresh;
      found = { ...rest, states: await copyOf(states), ...(pooled && { pooled: await copyOf(pooled) }) };
      release(fresh);
      known.set(key, found);
      if (known.size > REMEMBERED) known.delete(known.keys().next().value as string);
    }
    const { states, pooled, ...rest } = found;
    return { ...rest, states: tensorOf(states), ...(pooled && { pooled: tensorOf(pooled) }) };
  };
}
