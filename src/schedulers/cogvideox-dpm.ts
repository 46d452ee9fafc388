import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { UsageError } from '../errors';
import { knowing } from '../io/known-fields';
import { parseState, tensorState } from '../nn/state';
import { cogVideoXOtherFields, cogVideoXSchedule, createLevels, predictX0 } from './cogvideox-schedule';
import type { Inspect } from './inspect';
import type { Solver, TimeGrid } from './solver';

/** Configuration of diffusers' `CogVideoXDPMScheduler`. */
export const cogVideoXDPMConfig = knowing(
  cogVideoXSchedule.extend({ _class_name: z.literal('CogVideoXDPMScheduler') }),
  cogVideoXOtherFields,
);

export type CogVideoXDPMConfig = z.infer<typeof cogVideoXDPMConfig>;

/** Half the logarithm of the signal-to-noise ratio; infinite at both ends of the schedule. */
const logSnr = (alpha: number): number => Math.log(Math.sqrt(alpha / (1 - alpha)));

/**
 * DPM-Solver++ (2M) in its stochastic form (Lu et al., 2022).
 *
 * The first and the last step are of first order and draw noise once. All others draw it twice and use the second
 * draw only, as the reference does, so that a seed gives the same video.
 * The times are discrete: `grid` must be one that `cogVideoXGrid` made.
 */
export function createCogVideoXDPM(c: CogVideoXDPMConfig, grid: TimeGrid, inspect?: Inspect): Solver {
  const levels = createLevels(c, grid.timesteps.length);
  let older: tf.Tensor | undefined;

  return {
    ...grid,
    clean: (index, output, sample) => predictX0(output, sample, levels.at(grid.timesteps[index] as number)),
    step(index, output, sample, noise) {
      if (!noise) throw new UsageError('The CogVideoX DPM sampler needs a source of noise.');
      const t = grid.timesteps[index] as number;
      const [alpha, next] = [levels.at(t), levels.after(t)];
      const h = logSnr(next) - logSnr(alpha);
      const ofSample = Math.sqrt((1 - next) / (1 - alpha)) * Math.exp(-h);
      const ofClean = -Math.expm1(-2 * h) * Math.sqrt(next);
      const ofNoise = Math.sqrt(1 - next) * Math.sqrt(1 - Math.exp(-2 * h));
      const x0 = predictX0(output, sample, alpha);
      inspect?.({ index, x0 });

      const advanced = tf.tidy(() => {
        const draw = noise();
        const move = (clean: tf.Tensor, random: tf.Tensor): tf.Tensor =>
          tf.add(tf.add(tf.mul(sample, ofSample), tf.mul(clean, ofClean)), tf.mul(random, ofNoise));
        if (!older || levels.isLast(t)) return move(x0, draw);
        const back = levels.at(grid.timesteps[index - 1] as number);
        const half = h / (2 * (logSnr(alpha) - logSnr(back)));
        return move(tf.sub(tf.mul(x0, 1 + half), tf.mul(older, half)), noise());
      });
      older?.dispose();
      older = x0;
      return advanced;
    },
    state: () => older ?? null,
    restore(state) {
      older?.dispose();
      older = parseState(tensorState.nullable(), state)?.clone();
    },
    dispose() {
      older?.dispose();
      older = undefined;
    },
  };
}
