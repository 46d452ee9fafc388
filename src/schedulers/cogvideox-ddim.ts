import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { knowing } from '../io/known-fields';
import { stateless } from '../nn/state';
import { cogVideoXOtherFields, cogVideoXSchedule, createLevels, predictX0 } from './cogvideox-schedule';
import type { Inspect } from './inspect';
import type { Solver, TimeGrid } from './solver';

/** Configuration of diffusers' `CogVideoXDDIMScheduler`. */
export const cogVideoXDDIMConfig = knowing(
  cogVideoXSchedule.extend({ _class_name: z.literal('CogVideoXDDIMScheduler') }),
  cogVideoXOtherFields,
);

export type CogVideoXDDIMConfig = z.infer<typeof cogVideoXDDIMConfig>;

/**
 * DDIM without noise: the direction from the predicted clean sample is kept while the noise level falls.
 * The times are discrete: `grid` must be one that `cogVideoXGrid` made.
 */
export function createCogVideoXDDIM(c: CogVideoXDDIMConfig, grid: TimeGrid, inspect?: Inspect): Solver {
  const levels = createLevels(c, grid.timesteps.length);
  return {
    ...grid,
    ...stateless,
    clean: (index, output, sample) => predictX0(output, sample, levels.at(grid.timesteps[index] as number)),
    step(index, output, sample) {
      const t = grid.timesteps[index] as number;
      const [alpha, next] = [levels.at(t), levels.after(t)];
      const ofSample = Math.sqrt((1 - next) / (1 - alpha));
      const ofClean = Math.sqrt(next) - Math.sqrt(alpha) * ofSample;
      return tf.tidy(() => {
        const x0 = predictX0(output, sample, alpha);
        inspect?.({ index, x0 });
        return tf.add(tf.mul(sample, ofSample), tf.mul(x0, ofClean));
      });
    },
    dispose() {},
  };
}
