import * as tf from '@tensorflow/tfjs-core';
import type { PerRow } from '../../transformer/timesteps';

/**
 * A time in the scheduler's units as the pipeline of the reference hands it to the model: divided by 1000 in float32. The
 * model multiplies it back, and the roundings are kept.
 */
export function unitTime(timestep: PerRow): PerRow {
  if (timestep instanceof tf.Tensor) return tf.div(timestep, 1000);
  return [timestep].flat().map(t => Math.fround((t as number) / 1000));
}
