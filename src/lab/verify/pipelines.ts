import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { partsOf } from '../../cache/evaluation';
import type { BranchCache, CachePolicy } from '../../cache/policy';
import { CheckpointError } from '../../errors';
import { parseConfig } from '../../io/parse-config';
import { dense } from '../../media/pixels';
import { packLatents, unpackLatents } from '../../models/flux/latents';
import { fromFrames } from '../../models/vae/frames';
import { release } from '../../nn/scope';
import { loadHubPipeline } from '../../pipelines/hub';
import type { HubOptions } from '../../pipelines/hub-parts';
import type { BatchRequest, Job, Pipeline } from '../../sampling/pipeline';
import { sampleLoop } from '../../sampling/sample-loop';
import { alphasCumprod, cogVideoXSchedule } from '../../schedulers/cogvideox-schedule';
import type { Solver } from '../../schedulers/solver';
import type { Tap } from '../../transformer/denoiser';
import { openModelAt } from '../../weights/disk';
import { type OpenModel, readModelJson } from '../../weights/open-model';
import type { CaseRunner, GoldenCase, GoldenTensor, Produce } from './golden-case';
import { runMiniT2IPipeline } from './minit2i-pipeline';

/** How `case.json` describes one run. */
const runCall = z.object({
  prompt: z.array(z.string()),
  prompt_2: z.array(z.string()).optional(),
  negative_prompt: z.string().nullish(),
  num_inference_steps: z.int(),
  guidance_scale: z.number(),
  height: z.int(),
  width: z.int(),
  num_frames: z.int().default(1),
  max_sequence_length: z.int().optional(),
  use_dynamic_cfg: z.boolean().default(false),
  fps: z.number().optional(),
  /** Takes the place of the pipeline's sampler, whole … */
  scheduler: z.record(z.string(), z.unknown()).optional(),
  /** … or in one setting. */
  use_timestep_transform: z.boolean().optional(),
});

type RunCall = z.infer<typeof runCall>;

const calls = z.object({ family: z.string(), runs: z.array(runCall) });

/** Runs a case of the group `pipelines`: every run through the product's own pipeline, from prompt to pixels. */
export const runPipeline: CaseRunner = async (golden, produce) => {
  if (golden.call.family === 'minit2i') return runMiniT2IPipeline(golden, produce);
  const { family, runs } = parseConfig(calls, golden.call, join(golden.folder, 'case.json'));
  for (const [i, call] of runs.entries()) {
    const input = (name: string): GoldenTensor | undefined => golden.inputs.get(`run${i}.${name}`);
    const drawn = golden.expected.get(`run${i}.video`)?.shape[1] ?? call.num_frames;
    await runOne(golden, family, call, drawn, input, (name, value) => produce(`run${i}.${name}`, value));
  }
};

type Input = (name: string) => GoldenTensor | undefined;

/** @param drawn frames of the reference's clip: CogVideoX's is longer than some calls ask for */
async function runOne(
  golden: GoldenCase,
  family: string,
  call: RunCall,
  drawn: number,
  input: Input,
  produce: Produce,
) {
  const model = await openModelAt(join(golden.folder, 'pipeline'));
  const raw = temporalFrames();
  let pipeline: Pipeline | undefined;
  try {
    const scheduler = await schedulerOf(model, call);
    if (family === 'cogvideox') produce('alphas_cumprod', alphasCumprod(cogVideoXSchedule.parse(scheduler)));
    pipeline = await loadHubPipeline(model, { scheduler, watch: produce, watchDecoder: raw.watch });
    const job = await pipeline.prepare(requestOf(call, drawn));
    try {
      await sampleAndDecode(pipeline, family, job, input, produce);
    } finally {
      job.release();
    }
    raw.produceAll(produce);
  } finally {
    raw.dispose();
    pipeline?.dispose();
    await model.close();
  }
}

async function schedulerOf(model: OpenModel, { scheduler, use_timestep_transform }: RunCall): Promise<unknown> {
  const own = scheduler ?? ((await readModelJson(model, 'scheduler/scheduler_config.json')) as object);
  return use_timestep_transform === undefined ? own : { ...own, use_timestep_transform };
}

function requestOf(call: RunCall, frames: number): BatchRequest {
  return {
    prompts: call.prompt,
    ...(call.prompt_2 && { prompts2: call.prompt_2 }),
    ...(typeof call.negative_prompt === 'string' && { negativePrompt: call.negative_prompt }),
    // Every run starts from the case's own noise.
    seeds: call.prompt.map(() => 0),
    steps: call.num_inference_steps,
    guidance: call.guidance_scale,
    size: { width: call.width, height: call.height, frames },
    ...(call.max_sequence_length !== undefined && { maxSequenceLength: call.max_sequence_length }),
    dynamicGuidance: call.use_dynamic_cfg,
    ...(call.fps !== undefined && { fps: call.fps }),
  };
}

async function sampleAndDecode(pipeline: Pipeline, family: string, job: Job, input: Input, produce: Produce) {
  const start = required(input, 'latents');
  const noise = input('sde_noise');
  const [height, width] = job.latents.shape.slice(-2) as [number, number];
  const isPacked = family === 'flux' || family === 'chroma';
  // The reference packs FLUX's latents before the loop, the product inside the model.
  const asReference = (t: tf.Tensor): tf.Tensor => (isPacked ? packLatents(t) : t.clone());
  const given = tf.tensor(start.data, [...start.shape]);
  const latents = isPacked ? unpackLatents(given, height, width) : given.clone();
  given.dispose();

  const seen = { outputs: [] as tf.Tensor[], raw: [] as tf.Tensor[], steps: [] as tf.Tensor[] };
  const keep = (list: tf.Tensor[], t: tf.Tensor): void => {
    list.push(tf.keep(asReference(t)));
  };
  let drawn = 0;
  try {
    const solver = watched(job.solver(), output => keep(seen.outputs, output));
    produce('timesteps', perRow(solver.timesteps, family === 'opensora' ? (latents.shape[0] as number) : 1));
    produce('sigmas', solver.sigmas);
    const policy = tappedHead((name, compute) => {
      const made = compute();
      if (name === 'model_output' && made instanceof tf.Tensor) seen.raw.push(tf.keep(made.clone()));
      return made;
    });
    const run = { ...job, solver, latents, ...(noise && { noise: () => entry(noise, drawn++) }) };
    const { latents: final } = await sampleLoop(run, policy, { onStep: (_, sample) => keep(seen.steps, sample) });
    produceStack(produce, 'noise_pred', seen.outputs);
    produceStack(produce, 'model_output', seen.raw);
    produceStack(produce, 'step_latents', seen.steps);
    const packed = asReference(final);
    produce('latents', packed);
    produce('latents_unpacked', final);
    packed.dispose();
    const media = await pipeline.decode(final, job.size).finally(() => final.dispose());
    const pixels = media.flatMap(one => Array.from(dense(one)));
    produce('image', pixels);
    produce('video', pixels);
  } finally {
    latents.dispose();
    release([seen.outputs, seen.raw, seen.steps]);
  }
}

/** Computes every step, the head with `tap`. */
function tappedHead(tap: Tap): CachePolicy {
  const evaluate: BranchCache['evaluate'] = async (_step, evaluation) => {
    const parts = partsOf(evaluation, 'Verification');
    const tokens = await parts.blocks(parts.embed());
    const output = parts.head(tokens, tap);
    release(tokens);
    return { output, decision: 'compute' };
  };
  return {
    name: 'tapped',
    begin: () => ({ branch: () => ({ evaluate, bytes: () => 0, dispose() {} }), dispose() {} }),
  };
}

function required(input: Input, name: string): GoldenTensor {
  const found = input(name);
  if (found) return found;
  throw new CheckpointError('missing_key', `A run of the case has no input ${name}.`);
}

/** Entry `index` of a tensor's first axis. */
function entry({ shape, data }: GoldenTensor, index: number): tf.Tensor {
  const size = data.length / (shape[0] as number);
  return tf.tensor(data.slice(index * size, (index + 1) * size), shape.slice(1));
}

/** Every time once for each row of the batch. */
function perRow(times: readonly number[], rows: number): number[] {
  return times.flatMap(t => Array<number>(rows).fill(t));
}

function watched(solver: Solver, see: (output: tf.Tensor) => void): Solver {
  return {
    ...solver,
    step(index, output, sample, noise) {
      see(output);
      return solver.step(index, output, sample, noise);
    },
  };
}

function produceStack(produce: Produce, name: string, tensors: readonly tf.Tensor[]): void {
  if (tensors.length === 0) return;
  const all = tf.stack([...tensors]);
  produce(name, all);
  all.dispose();
}

/** Gathers what Open-Sora's temporal decoder gives, chunk by chunk, before leading frames are cut. */
function temporalFrames(): {
  watch: NonNullable<HubOptions['watchDecoder']>;
  produceAll(produce: Produce): void;
  dispose(): void;
} {
  const rows: tf.Tensor[][] = [];
  return {
    watch(name, frames, row) {
      if (name !== 'temporal_vae.decoder') return;
      rows[row] ??= [];
      rows[row].push(...frames.map(frame => tf.keep(frame.clone())));
    },
    produceAll(produce) {
      if (rows.length === 0) return;
      const whole = tf.tidy(() => tf.stack(rows.map(frames => fromFrames(frames))));
      produce('temporal_raw', whole);
      whole.dispose();
    },
    dispose: () => release(rows),
  };
}
