import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { parseConfig } from '../../io/parse-config';
import { share } from '../../nn/scope';
import { denoiserBranch, type Guide, separateGuidance, single, within } from '../../sampling/guidance';
import { createMiniT2ISolver, miniT2IGrid, miniT2ISchedulerConfig } from '../../schedulers/minit2i';
import type { TimeGrid } from '../../schedulers/solver';
import type { Denoiser } from '../../transformer/denoiser';
import { velocityOfSample } from '../../transformer/sample-prediction';
import { residentStore } from '../../weights/store';
import type { CaseRunner, GoldenTensor } from './golden-case';
import { produceMiniT2IRun } from './minit2i-run';

const call = z.object({
  num_inference_steps: z.int().positive(),
  guidance_scale: z.number(),
  cfg_interval: z.tuple([z.number(), z.number()]).default([0, 1]),
  noise_scale: z.number().default(2),
  velocity_floor: z.number().default(0.05),
});

/**
 * Recorded predictions of the clean picture through MiniT2I's guidance and sampler: rows of the conditional call come
 * before those of the unconditional one.
 */
export const runMiniT2ISampler: CaseRunner = async (golden, produce) => {
  const config = parseConfig(miniT2ISchedulerConfig, golden.config, join(golden.folder, 'config.json'));
  const asked = parseConfig(call, golden.call, join(golden.folder, 'case.json'));
  const grid = miniT2IGrid(config, { steps: asked.num_inference_steps });
  const recorded = golden.inputs.get('model_output') as GoldenTensor;
  const noise = golden.inputs.get('noise') as GoldenTensor;
  const guide = within(separateGuidance(asked.guidance_scale), asked.cfg_interval);
  const latents = tf.tidy(() => tf.mul(tf.tensor(noise.data, [...noise.shape]), asked.noise_scale));
  produce('sample_init', latents);
  produce('guidance_per_step', guidanceOf(guide, grid));
  const branches = [0, 1].map(half =>
    denoiserBranch({
      name: half === 0 ? 'conditional' : 'unconditional',
      model: velocityOfSample(replayed(recorded, half), { trainTimesteps: 1, velocityFloor: asked.velocity_floor }),
      context: {},
      expand: single,
    }),
  );
  const run = { branches, guide, solver: createMiniT2ISolver(config, grid), latents };
  try {
    await produceMiniT2IRun(run, { steps: 'samples', final: 'sample' }, produce);
  } finally {
    latents.dispose();
  }
};

/** The strength of guidance at every step: what it makes of 1 and 0. */
function guidanceOf({ combine }: Guide, { timesteps, sigmas }: TimeGrid): number[] {
  return Array.from(
    timesteps,
    (timestep, index) =>
      tf.tidy(
        () => combine([tf.scalar(1), tf.scalar(0)], { index, timestep, sigma: sigmas[index] as number }).dataSync()[0],
      ) as number,
  );
}

/** A model without weights that predicts what was recorded, a step at each call. */
function replayed({ shape, data }: GoldenTensor, half: number): Denoiser<object, object, object> {
  const [steps, rows, ...rest] = shape as [number, number, ...number[]];
  const size = data.length / (2 * steps);
  let step = 0;
  return {
    weights: residentStore(new Map()),
    blocks: [],
    prepare: () => ({}),
    embed: (x, _timestep, context) => ({ tokens: { hidden: x.clone() }, shared: share(context) }),
    head() {
      const start = (2 * step++ + half) * size;
      return tf.tensor(data.slice(start, start + size), [rows / 2, ...rest]);
    },
    signal: async ({ tokens }) => tokens.hidden.clone(),
  };
}
