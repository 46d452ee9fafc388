import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { CheckpointError } from '../../errors';
import { parseConfig } from '../../io/parse-config';
import { miniT2IConfig } from '../../models/minit2i/config';
import { loadHubPipeline } from '../../pipelines/hub';
import { openModelAt } from '../../weights/disk';
import { componentOf, type OpenModel } from '../../weights/open-model';
import type { CaseRunner, GoldenTensor, Produce } from './golden-case';
import { produceMiniT2IRun } from './minit2i-run';

const runCall = z.object({
  prompt: z.array(z.string()),
  num_inference_steps: z.int().positive(),
  guidance_scale: z.number(),
  cfg_interval: z.tuple([z.number(), z.number()]).default([0, 1]),
});

const calls = z.object({
  transformer: z.string().regex(/^[\w.-]+(\/[\w.-]+)*\/?$/),
  noise_scale: z.number().optional(),
  velocity_floor: z.number().optional(),
  runs: z.array(runCall),
});

/** The next number after 1: a strength that is one in effect, and that a run is guided with. */
const HARDLY_GUIDED = 1 + Number.EPSILON;

/** Runs a case of MiniT2I: `hub/owner/name` stand for the repositories, as `ertacache download` brings them. */
export const runMiniT2IPipeline: CaseRunner = async (golden, produce) => {
  const { runs, transformer, ...settings } = parseConfig(calls, golden.call, join(golden.folder, 'case.json'));
  const model = withSettings(await openModelAt(join(golden.folder, transformer, '..')), settings);
  try {
    for (const [i, call] of runs.entries()) {
      const noise = golden.inputs.get(`run${i}.noise`);
      if (!noise) throw new CheckpointError('missing_key', 'A run of the case has no input noise.');
      const named: Produce = (name, value) => produce(`run${i}.${name}`, value);
      await runOnce(model, call, noise, named);
      if (call.guidance_scale !== 1) continue;
      // The reference makes both calls where the product makes one.
      await runOnce(model, { ...call, guidance_scale: HARDLY_GUIDED }, noise, (name, value) => {
        if (name === 'x0_pred') named(name, value);
      });
    }
  } finally {
    await model.close();
  }
};

async function runOnce(model: OpenModel, call: z.infer<typeof runCall>, noise: GoldenTensor, produce: Produce) {
  const pipeline = await loadHubPipeline(model, { watch: produce });
  try {
    const job = await pipeline.prepare({
      prompts: call.prompt,
      // Every run starts from the case's own noise.
      seeds: call.prompt.map(() => 0),
      steps: call.num_inference_steps,
      guidance: call.guidance_scale,
      guidanceInterval: call.cfg_interval,
    });
    const { config } = componentOf(model, 'transformer');
    const { noise_scale: scale } = parseConfig(miniT2IConfig, config, 'transformer/config.json');
    const latents = tf.tidy(() => tf.mul(tf.tensor(noise.data, [...noise.shape]), scale));
    try {
      const run = { branches: job.branches, guide: job.guide, solver: job.solver(), latents };
      await produceMiniT2IRun(run, { steps: 'step_latents', final: 'latents' }, produce);
    } finally {
      latents.dispose();
      job.release();
    }
  } finally {
    pipeline.dispose();
  }
}

/** A model whose transformer is configured otherwise in these settings, where they are given. */
function withSettings(model: OpenModel, settings: Readonly<Record<string, unknown>>): OpenModel {
  const given = Object.fromEntries(
    Object.entries(settings).filter(([name]) => /^(noise_scale|velocity_floor)$/.test(name)),
  );
  const components = new Map(model.components);
  const transformer = componentOf(model, 'transformer');
  components.set('transformer', { ...transformer, config: { ...transformer.config, ...given } });
  return { ...model, components, reopen: async () => withSettings(await model.reopen(), settings) };
}
