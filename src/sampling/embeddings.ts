/** What text encoders made of some prompts, kept outside the backend, so that later runs need no text encoder. */
import * as tf from '@tensorflow/tfjs-core';

/** Texts for one of a pipeline's text encoders. */
export interface TextRequest {
  /** Folders of the two: `text_encoder` and `tokenizer`, … */
  readonly encoder: string;
  readonly tokenizer: string;
  readonly texts: readonly string[];
  /** Tokens that every text is cut or padded to; the tokenizer's own length unless given. */
  readonly length?: number | undefined;
  /** Whether padding is hidden from the encoder. */
  readonly masked?: boolean | undefined;
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

/** A tensor's values, outside the backend. */
export interface Copy {
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

/** What an encoder made of a set of texts. */
export interface Embedding extends Omit<EncodedTexts, 'states' | 'pooled'> {
  readonly request: TextRequest;
  readonly states: Copy;
  readonly pooled?: Copy;
}

/** Embeddings of whole prompts, by every encoder of one model. */
export interface Embeddings {
  /** How errors call them: a file. */
  readonly where: string;
  /** Prompts that were drawn, in their order, and what was steered away from. */
  readonly prompts: readonly string[];
  /** What was steered away from. */
  readonly negativePrompt?: string | undefined;
  /** Identity of every encoder, by the name of its folder. */
  readonly encoders: Readonly<Record<string, string>>;
  /** Outputs of the encoders, one entry a call. */
  readonly entries: readonly Embedding[];
}

export const copyOf = async (t: tf.Tensor): Promise<Copy> => ({ values: await t.data<'float32'>(), shape: t.shape });
export const tensorOf = ({ values, shape }: Copy): tf.Tensor => tf.tensor(values, [...shape]);
