import * as tf from '@tensorflow/tfjs-core';
import { torchGenerator } from '../random/torch-generator';
import type { Workload } from './workload';

/** What benchmarks make up for a transformer: its text is noise. */
export interface Synthetic<Config = unknown> {
  /** How the family is guided: the model is told, by two calls, or by one call on a doubled batch. */
  readonly guidance: 'embedded' | 'separate' | 'batched';
  /** What `Denoiser.prepare` takes, a row for every seed; new tensors. */
  condition(config: Config, work: Workload, seeds: readonly number[]): object;
  /** The same model with at most `blocks` blocks of every kind. */
  shortened(config: Config, blocks: number): Config;
}

/** Normal values, one row for every seed, `[seeds, …shape]`; a new tensor. */
export function noiseRows(seeds: readonly number[], shape: readonly number[]): tf.Tensor {
  return tf.tidy(() => tf.stack(seeds.map(seed => tf.tensor(torchGenerator(seed).normal(shape), [...shape]))));
}
