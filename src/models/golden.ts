import type * as tf from '@tensorflow/tfjs-core';
import type { Tokens } from '../transformer/denoiser';

/** A golden case's inputs: tensors that live until the run's end, or plain numbers. */
export interface GoldenInputs {
  has(name: string): boolean;
  tensor(name: string): tf.Tensor;
  /** A tensor without `axis`, which is of size 1. */
  squeezed(name: string, axis: number): tf.Tensor;
  list(name: string): number[];
  rows(name: string): number[][];
}

/** How golden cases name the arguments and results of the reference of one class of transformer. */
export interface GoldenNames {
  /** Name of the latent among the inputs; `hidden_states` by default. */
  readonly latent?: string;
  /** What the reference's timestep is multiplied by to be in the scheduler's units; 1 by default. */
  readonly timeFactor?: number;
  /** The times in the scheduler's units, where they are no multiples of an input called `timestep`. */
  times?(inputs: GoldenInputs): number[];
  /** The output of the model by the reference's name, a new tensor; `sample`, as it is, by default. */
  output?(output: tf.Tensor): Record<string, tf.Tensor>;
  /** A tap of the model whose name the reference gives to something else. */
  readonly unlike?: string;
  /** What `Denoiser.prepare` takes. */
  condition(inputs: GoldenInputs): object;
  /** Results that are not taps of the model, made from the embedded tokens; new tensors. */
  embedded?(tokens: Tokens): Record<string, tf.Tensor>;
  /** Tokens after a block, by their names in the case; borrowed. */
  afterBlock(index: number, tokens: Tokens): Record<string, tf.Tensor>;
}

/** What cases call the output of a block. */
export const blockName = (index: number): string => `block_${String(index).padStart(2, '0')}`;

/** Image and text tokens after a block, in models whose blocks transform both. */
export const bothStreams = (index: number, tokens: Tokens): Record<string, tf.Tensor> => ({
  [`${blockName(index)}.hidden_states`]: tokens.hidden,
  [`${blockName(index)}.encoder_hidden_states`]: tokens.context as tf.Tensor,
});
