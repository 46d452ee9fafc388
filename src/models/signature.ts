import type * as tf from '@tensorflow/tfjs-core';
import type { WeightStore } from '../weights/parameters';
import type { Expression, Size } from './sizes';

/** A size in one recording: what it is derived from, and what it is there. */
export interface Sized {
  readonly size: Size;
  readonly value: number;
}

/** What a signature builds the inputs of a model with, while the model is recorded. */
export interface InputBuilder {
  /** An input that must be given. */
  input(name: string, shape: readonly number[]): tf.Tensor;
  /** An input that is `otherwise` everywhere unless it is given: a tensor of ones as axes, which broadcasts. */
  optional(name: string, shape: readonly number[], otherwise: number): tf.Tensor;
  /** 0 … size - 1 as float32. */
  range(size: Sized): tf.Tensor1D;
  /** A size as a float32 scalar. */
  count(size: Sized): tf.Tensor;
  /** `reshape`, `pad` and `slice` by sizes that the recording does not have: `shape` is what they are in it. */
  reshape(x: tf.Tensor, target: readonly Expression[], shape: readonly number[]): tf.Tensor;
  pad(x: tf.Tensor, ends: readonly Expression[]): tf.Tensor;
  slice(x: tf.Tensor, lengths: readonly Expression[]): tf.Tensor;
  readonly weights: WeightStore;
}

/** What a model is called with. */
export interface Call {
  /** The latent. */
  readonly sample: tf.Tensor;
  /** `[B]`, in the scheduler's units. */
  readonly timestep: tf.Tensor;
  /** What `Denoiser.prepare` takes. */
  readonly condition: object;
  /** The last step, after `head`. */
  finish?(output: tf.Tensor): tf.Tensor;
}

/** The inputs of one class of transformer as a graph, and which of their sizes may vary. */
export interface Signature<Config = unknown> {
  sizes(config: Config): Readonly<Record<string, Size>>;
  call(config: Config, sizes: Readonly<Record<string, Sized>>, build: InputBuilder): Call;
}

/** The length of an axis of an input. */
export function axisOf(input: string, axis: number, unit = 1): Size {
  return { input, axis, unit };
}

/** A size, times a whole number. */
export function times(size: Size, factor = 1): Expression {
  return [{ factor, sizes: [size] }];
}

export function minus(a: Expression, b: Expression): Expression {
  return [...a, ...b.map(term => ({ ...term, factor: -term.factor }))];
}
