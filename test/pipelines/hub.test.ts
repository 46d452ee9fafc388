import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { ertacache } from '../../src/cache/ertacache';
import { none } from '../../src/cache/none';
import { uniform } from '../../src/cache/uniform';
import { type CalibrateOptions, calibrate } from '../../src/calibration/calibrate';
import type { GoldenTensor } from '../../src/lab/verify/golden-case';
import { loadCase } from '../../src/lab/verify/load-case';
import { maxAbsError, verifyCase } from '../../src/lab/verify/verify';
import { dense } from '../../src/media/pixels';
import { dynamicScales } from '../../src/models/cogvideox/pipeline';
import { packLatents, unpackLatents } from '../../src/models/flux/latents';
import type { HubOptions } from '../../src/pipelines/hub-parts';
import { loadModel } from '../../src/pipelines/load';
import { policySettings, requireFits } from '../../src/policy/data';
import type { BatchRequest, Pipeline } from '../../src/sampling/pipeline';
import { usualSize } from '../../src/sampling/rows';
import { runRequest } from '../../src/sampling/run-job';
import { describeOnBackends } from '../support/backends';

const fixtures = resolve(__dirname, '../fixtures/pipelines');
const cases = ['flux-tiny', 'chroma-tiny', 'wan-tiny', 'cogvideox-tiny', 'opensora-tiny'] as const;
type Case = (typeof cases)[number];

interface Run {
  readonly file: string;
  readonly prompt: string[];
  readonly negative_prompt?: string | null;
  readonly num_inference_steps: number;
  readonly guidance_scale: number;
  readonly height: number;
  readonly width: number;
  readonly num_frames?: number;
  readonly max_sequence_length?: number;
  readonly use_dynamic_cfg?: boolean;
  readonly guidance_per_step?: number[];
  readonly fps?: number;
}

const describeCase = (name: Case): { seed: number; runs: Run[] } =>
  JSON.parse(readFileSync(join(fixtures, name, 'case.json'), 'utf8'));

const load = (name: Case, options?: HubOptions): Promise<Pipeline> =>
  loadModel(join(fixtures, name, 'pipeline'), options);

/** The request of a run of one row; the cases draw the noise of run i from the case's seed + 50 + i. */
function requestOf(name: Case, file: string): BatchRequest {
  const { seed, runs } = describeCase(name);
  const run = runs.find(r => r.file === file) as Run;
  return {
    prompts: run.prompt,
    seeds: [seed + 50 + Number(/\d+/.exec(file)?.[0])],
    ...(run.negative_prompt && { negativePrompt: run.negative_prompt }),
    steps: run.num_inference_steps,
    guidance: run.guidance_scale,
    size: { width: run.width, height: run.height, frames: run.num_frames ?? 1 },
    ...(run.max_sequence_length && { maxSequenceLength: run.max_sequence_length }),
    ...(run.use_dynamic_cfg && { dynamicGuidance: true }),
    ...(run.fps && { fps: run.fps }),
  };
}

/** A small run of each pipeline with every default of its own sampler. */
const plainRuns: Readonly<Record<Case, string>> = {
  'flux-tiny': 'run1.safetensors',
  'chroma-tiny': 'run0.safetensors',
  'wan-tiny': 'run1.safetensors',
  'cogvideox-tiny': 'run3.safetensors',
  'opensora-tiny': 'run2.safetensors',
};

describeOnBackends('whole pipelines', () => {
  test.each(cases)('%s: every output of every run is checked and within its tolerance', async name => {
    const before = tf.memory().numTensors;
    const report = await verifyCase(join(fixtures, name));
    expect(report.comparisons.filter(c => !c.passed)).toEqual([]);
    expect(report.unchecked).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(cases)('%s: a seed gives the noise and the pixels that the reference gives', async name => {
    const before = tf.memory().numTensors;
    const file = plainRuns[name];
    const golden = await tensorsOf(name, file);
    const pipeline = await load(name);
    const request = requestOf(name, file);
    const job = await pipeline.prepare(request);
    const start = (golden.get('in.noise') ?? golden.get('in.latents'))!;
    expect(job.latents.shape).toEqual(start.shape);
    expect(maxAbsError(job.latents.dataSync(), start.data)).toBeLessThan(5e-6);
    job.release();
    const { media } = await runRequest(pipeline, request, none());
    const pixels = (golden.get('out.image') ?? golden.get('out.video'))!;
    expect(media[0]!.shape).toEqual(pixels.shape.slice(1));
    expect(maxAbsError(dense(media[0]!), pixels.data)).toBeLessThan(5e-4);
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(cases)('%s: caches work at every site, with as few forwards as they say', async name => {
    const pipeline = await load(name);
    const request = requestOf(name, plainRuns[name]);
    for (const site of ['hidden', 'output', 'velocity'] as const) {
      const { forwards, media } = await runRequest(pipeline, request, uniform(request.steps, 3, site));
      expect(forwards).toBe(3);
      expect(dense(media[0]!).every(Number.isFinite)).toBe(true);
    }
    pipeline.dispose();
  });

  test.each(cases)('%s: a policy is calibrated, fits the run and spares work', async name => {
    const before = tf.memory().numTensors;
    const pipeline = await load(name);
    const { guidance } = requestOf(name, plainRuns[name]);
    const policy = await calibrate(pipeline, {
      name: 'small',
      pairs: [{ prompt: 'a red fox', seed: 1 }],
      steps: 4,
      guidance,
      site: 'velocity',
      schedule: { reused: [false, true, false, true] },
    } as CalibrateOptions);
    const request: BatchRequest = { prompts: ['a red fox'], seeds: [2], steps: 4, guidance };
    const job = await pipeline.prepare(request);
    const { info } = pipeline;
    requireFits(policy.data, { model: info, scheduler: info.schedulerClass, guidance, sigmas: job.sigmas });
    job.release();
    expect((await runRequest(pipeline, request, ertacache(policySettings(policy)))).schedule).toBe('#.#.');
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('the text encoder is gone before the transformer is loaded, and is not loaded twice for one prompt', async () => {
    const before = tf.memory().numTensors;
    const seen: [string, number][] = [];
    const pipeline = await load('wan-tiny', { watch: name => seen.push([name, tf.memory().numTensors - before]) });
    const request = requestOf('wan-tiny', 'run3.safetensors');
    const first = await pipeline.prepare(request);
    // The states of the prompt alone.
    expect(seen.at(-1)).toEqual(['prompt_embeds', 1]);
    const second = await pipeline.prepare(request);
    expect(second.latents.dataSync()).toEqual(first.latents.dataSync());
    first.release();
    second.release();
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a transformer left on disk gives the same picture', async () => {
    const request = requestOf('flux-tiny', 'run4.safetensors');
    const pictures: Float32Array[] = [];
    for (const offload of [false, true]) {
      const pipeline = await load('flux-tiny', { offload });
      pictures.push(dense((await runRequest(pipeline, request, none())).media[0]!));
      pipeline.dispose();
    }
    expect(maxAbsError(pictures[0]!, pictures[1]!)).toBeLessThan(1e-5);
  });

  test('rows of a batch do not depend on each other', async () => {
    const pipeline = await load('cogvideox-tiny', { scheduler: dpm() });
    const request: BatchRequest = { prompts: ['a', 'b'], seeds: [3, 4], steps: 3, guidance: 6, size: { frames: 1 } };
    const both = await runRequest(pipeline, request, none());
    const alone = await runRequest(pipeline, { ...request, prompts: ['b'], seeds: [4] }, none());
    expect(maxAbsError(dense(both.media[1]!), dense(alone.media[0]!))).toBeLessThan(1e-3);
    pipeline.dispose();
  });

  test('nothing is left behind when a request cannot be prepared', async () => {
    const before = tf.memory().numTensors;
    for (const name of cases) {
      const pipeline = await load(name);
      const request: BatchRequest = { prompts: ['a'], seeds: [0], steps: 0, guidance: 5 };
      await expect(pipeline.prepare(request)).rejects.toThrow('at least 1');
      await expect(pipeline.prepare({ ...request, seeds: [] })).rejects.toThrow('1 prompts were given 0 seeds');
      await expect(pipeline.prepare({ ...request, steps: 4, size: { width: 33 } })).rejects.toThrow(
        'not a multiple of',
      );
      pipeline.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  test('what a pipeline cannot do is refused by name', async () => {
    const flux = await load('flux-tiny');
    const request: BatchRequest = { prompts: ['a'], seeds: [0], steps: 4, guidance: 3.5 };
    await expect(flux.prepare({ ...request, negativePrompt: 'b' })).rejects.toThrow('negative prompt');
    flux.dispose();
    const cogvideox = await load('cogvideox-tiny');
    const job = await cogvideox.prepare(request);
    expect(job.sigmas.every((s, i) => i === 0 || s < job.sigmas[i - 1]!)).toBe(true);
    expect(() => job.solver([1, 0.9, 0.5, 0.1, 0])).toThrow('discrete times');
    job.solver([...job.sigmas]).dispose();
    job.release();
    cogvideox.dispose();
  });

  test('packing and unpacking are each other’s reverse', () => {
    tf.tidy(() => {
      const latents = tf.randomNormal([2, 3, 4, 6], 0, 1, 'float32', 5);
      const packed = packLatents(latents);
      expect(packed.shape).toEqual([2, 6, 12]);
      expect(unpackLatents(packed, 4, 6).dataSync()).toEqual(latents.dataSync());
    });
  });
});

/** The sampler of the run that draws its own noise. */
function dpm(): unknown {
  const { runs } = describeCase('cogvideox-tiny');
  return (runs.find(r => r.file === 'run4.safetensors') as unknown as { scheduler: unknown }).scheduler;
}

test('guidance that grows follows the published formula', async () => {
  const run = describeCase('cogvideox-tiny').runs.find(r => r.guidance_per_step) as Run;
  const times = (await tensorsOf('cogvideox-tiny', run.file)).get('out.timesteps')!;
  dynamicScales(run.guidance_scale, [...times.data]).forEach((scale, i) => {
    expect(scale).toBeCloseTo(run.guidance_per_step![i]!, 9);
  });
});

test('small models draw small pictures unless asked', () => {
  const [published, trial] = [
    { width: 832, height: 480, frames: 81 },
    { width: 96, height: 64, frames: 9 },
  ];
  expect(usualSize(1.4e9, published, trial)).toBe(published);
  expect(usualSize(3e4, published, trial)).toBe(trial);
});

/** Inputs and expected outputs of one run. */
async function tensorsOf(name: Case, file: string): Promise<Map<string, GoldenTensor>> {
  const { inputs, expected } = await loadCase(join(fixtures, name));
  const run = `run${describeCase(name).runs.findIndex(r => r.file === file)}.`;
  const own = (prefix: string, all: ReadonlyMap<string, GoldenTensor>): [string, GoldenTensor][] =>
    [...all].flatMap(([key, t]) => (key.startsWith(run) ? [[prefix + key.slice(run.length), t]] : []));
  return new Map([...own('in.', inputs), ...own('out.', expected)]);
}
