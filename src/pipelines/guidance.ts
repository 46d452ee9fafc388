import * as tf from '@tensorflow/tfjs-core';
import type { Denoiser } from '../models/denoiser';

/** One call of the model at every step. */
export interface Branch {
  readonly name: string;
  readonly model: Denoiser;
  /** What `Denoiser.prepare` made for this branch. */
  readonly context: unknown;
  /** The latent as this branch's model takes it; a new tensor. */
  readonly expand: (sample: tf.Tensor) => tf.Tensor;
}

/** Turns the outputs of all branches into the prediction the solver gets; a new tensor. */
export type Guide = (outputs: readonly tf.Tensor[], stepIndex: number) => tf.Tensor;

/** A single branch, no guidance. */
export const unguided: Guide = outputs => (outputs[0] as tf.Tensor).clone();

/** `u + g · (c - u)`. */
export function guided(conditional: tf.Tensor, unconditional: tf.Tensor, scale: number): tf.Tensor {
  return tf.tidy(() => tf.add(unconditional, tf.mul(tf.sub(conditional, unconditional), scale)));
}

/** Classifier-free guidance from two calls, conditional first. */
export function separateGuidance(scale: number): Guide {
  return ([conditional, unconditional]) => guided(conditional as tf.Tensor, unconditional as tf.Tensor, scale);
}

/** Classifier-free guidance from one call on a doubled batch, conditional rows first. */
export function batchedGuidance(scale: number): Guide {
  return ([both]) =>
    tf.tidy(() => {
      const [conditional, unconditional] = tf.split(both as tf.Tensor, 2) as [tf.Tensor, tf.Tensor];
      return guided(conditional, unconditional, scale);
    });
}

/** The latent twice, for `batchedGuidance`. */
export const doubled = (sample: tf.Tensor): tf.Tensor => tf.concat([sample, sample]);
/** The latent once. */
export const single = (sample: tf.Tensor): tf.Tensor => sample.clone();
