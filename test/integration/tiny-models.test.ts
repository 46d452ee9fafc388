import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { ertacache } from '../../src/cache/ertacache';
import { none } from '../../src/cache/none';
import type { CachePolicy } from '../../src/cache/policy';
import { methods } from '../../src/cache/registry';
import { type CalibrateOptions, calibrate } from '../../src/calibration/calibrate';
import { UnsupportedError } from '../../src/errors';
import { syntheticJob } from '../../src/lab/timing/synthetic-job';
import { loadDenoiser } from '../../src/models/load-denoiser';
import { preset } from '../../src/models/presets';
import type { Demand } from '../../src/models/workload';
import { workload } from '../../src/models/workload-of';
import { policySettings } from '../../src/policy/data';
import type { BatchRequest, Job, Pipeline } from '../../src/sampling/pipeline';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { scheduleText } from '../../src/sampling/schedule-text';
import { openModelFileAt } from '../../src/weights/disk';
import { describeOnBackends } from '../support/backends';

/** A golden model, the published one whose sampler it is run with, and a size that it can draw. */
interface Sample {
  readonly name: string;
  readonly like: string;
  readonly demand: Demand;
  /** Forward passes of one step; a doubled batch is one pass. */
  readonly branches: number;
  readonly isDiscrete?: true;
}

const samples: readonly Sample[] = [
  { name: 'flux_guidance', like: 'flux-dev', demand: { height: 48, width: 64, textTokens: 5 }, branches: 1 },
  {
    name: 'wan_square',
    like: 'wan2.1-t2v-1.3b',
    demand: { height: 32, width: 48, frames: 5, textTokens: 5 },
    branches: 2,
  },
  {
    name: 'cogvideox_2b',
    like: 'cogvideox-2b',
    demand: { height: 32, width: 48, frames: 8 },
    branches: 1,
    isDiscrete: true,
  },
  { name: 'minit2i_cfg', like: 'minit2i-b-16', demand: { height: 32, width: 32, textTokens: 7 }, branches: 2 },
  { name: 'opensora_video', like: 'opensora-1.2', demand: { height: 32, width: 48, frames: 17 }, branches: 1 },
];

// Thousands of small kernels each: seconds alone, minutes beside other work.
jest.setTimeout(600_000);

const STEPS = 20;
const GUIDANCE = 3;

async function tinyPipeline({ name, like, demand }: Sample): Promise<Pipeline> {
  const component = await openModelFileAt(join(__dirname, '../fixtures/transformers', name, 'weights.safetensors'));
  const { denoiser: model, className, config, parameters } = await loadDenoiser(component);
  await component.source.close();
  const work = workload(className, config, demand);
  const { scheduler } = preset(like);
  return {
    info: {
      id: name,
      hash: name,
      modelClass: className,
      schedulerClass: scheduler._class_name,
      parameters,
      kind: 'clip',
      defaults: { steps: STEPS, guidance: GUIDANCE },
      prompts: [],
    },
    textLoss: async () => [],
    schedule({ steps, guidance }) {
      const { sigmas, release } = syntheticJob({
        className,
        config,
        work,
        model,
        scheduler,
        steps,
        guidance,
        seeds: [0],
      });
      release();
      return { sigmas };
    },
    prepare: async ({ steps, guidance, seeds }: BatchRequest) =>
      syntheticJob({ className, config, work, model, scheduler, steps, guidance, seeds: seeds.map(Number) }),
    decode: async () => [],
    dispose: () => model.weights.dispose(),
  };
}

const request = (seed: number): BatchRequest => ({ prompts: [''], seeds: [seed], steps: STEPS, guidance: GUIDANCE });

async function run(job: Job, policy: CachePolicy) {
  const solver = job.solver(policy.adjust?.(job.sigmas));
  const { latents, steps } = await sampleLoop({ ...job, solver }, policy);
  const values = Float32Array.from(await latents.data());
  expect(latents.shape).toEqual(job.latents.shape);
  expect(values.every(Number.isFinite)).toBe(true);
  latents.dispose();
  return { values, schedule: scheduleText(steps), forwards: steps.reduce((sum, step) => sum + step.forwards, 0) };
}

const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length);

const base = {
  steps: STEPS,
  guidance: GUIDANCE,
  pairs: [1, 2, 3].map(seed => ({ prompt: '', seed })),
} satisfies Partial<CalibrateOptions>;

const recipes: readonly [string, Omit<CalibrateOptions, 'steps' | 'guidance' | 'pairs'>][] = [
  ['half of the steps', { schedule: { computed: 10, search: 'dp' }, site: 'hidden', rectify: 'linear' }],
  ['a third of the steps', { schedule: { computed: 7, search: 'dp' }, taylor: 0.5, rectify: 'lsq' }],
];

describeOnBackends('the four systems, small', () => {
  describe.each(samples)('$name with the sampler of $like', sample => {
    let pipeline: Pipeline;
    let outside: number;
    beforeAll(async () => {
      outside = tf.memory().numTensors;
      pipeline = await tinyPipeline(sample);
    });
    afterAll(() => {
      pipeline.dispose();
      expect(tf.memory().numTensors).toBe(outside);
    });

    test.each(recipes)('a calibrated policy that computes %s', async (_, recipe) => {
      const before = tf.memory().numTensors;
      const timestep = sample.isDiscrete ? 'off' : 'cycle';
      const policy = await calibrate(pipeline, { ...base, ...recipe, timestep });
      const computed = [...policy.data.schedule].filter(step => step === '#').length;
      expect(policy.data.schedule).toHaveLength(STEPS);
      expect(computed).toBe((recipe.schedule as { computed: number }).computed);

      // A picture that calibration has not seen.
      const job = await pipeline.prepare(request(77));
      expect(job.branches).toHaveLength(sample.branches);
      const whole = await run(job, none());
      const cached = await run(job, ertacache(policySettings(policy)));
      expect(whole.forwards).toBe(STEPS);
      expect(cached.schedule).toBe(policy.data.schedule);
      expect(cached.forwards).toBeCloseTo(computed, 10);
      const start = Float32Array.from(await job.latents.data());
      expect(distance(cached.values, whole.values)).toBeLessThan(0.5 * distance(start, whole.values));
      job.release();
      expect(tf.memory().numTensors).toBe(before);
    });

    test('every method runs, and computes what it says', async () => {
      const before = tf.memory().numTensors;
      const job = await pipeline.prepare({ ...request(5), steps: 8 });
      const facts = {
        polynomial: [1, 0],
        ratios: Array.from({ length: 8 }, (_, i) => 1 - 0.01 * i),
        history: [
          {
            ridge: 1,
            weights: Array.from({ length: 8 }, (_, t) => Array.from({ length: t }, (__, j) => Number(j === t - 1))),
          },
        ],
      };
      const budget = { steps: 8, computed: 4 };
      for (const method of methods) {
        if (method.kind === 'calibrated') continue;
        const policy =
          method.kind === 'scheduled'
            ? method.create(budget)
            : method.kind === 'chosen'
              ? method.variants(budget, facts, [])[0]!.policy
              : method.create(0.1, facts);
        if (method.name === 'fewer-steps' && sample.isDiscrete) {
          await expect(run(job, policy)).rejects.toThrow(UnsupportedError);
          continue;
        }
        const { forwards } = await run(job, policy);
        if (method.kind === 'scheduled' && method.name !== 'none' && method.name !== 'taylorseer') {
          expect([method.name, forwards]).toEqual([method.name, 4]);
        }
      }
      job.release();
      expect(tf.memory().numTensors).toBe(before);
    });

    test('the adjustment of the times, where the sampler allows it', async () => {
      const before = tf.memory().numTensors;
      const reused = Array.from({ length: STEPS }, (_, i) => i % 2 === 1);
      for (const form of ['global', 'cycle'] as const) {
        const policy = ertacache({
          reused,
          site: 'hidden',
          timestep: { form, phi: reused.map(() => 0.6) },
          rectify: { form: 'off' },
        });
        const job = await pipeline.prepare(request(3));
        if (sample.isDiscrete) {
          const error = await run(job, policy).catch(e => e);
          expect(error).toBeInstanceOf(UnsupportedError);
          expect(error.message).toContain('CogVideoXDDIMScheduler');
          expect(error.hint).toContain('timestep adjustment');
          const recipe = { schedule: { reused }, timestep: form, rectify: 'linear' } as const;
          await expect(calibrate(pipeline, { ...base, ...recipe })).rejects.toThrow(UnsupportedError);
        } else {
          expect((await run(job, policy)).forwards).toBe(10);
        }
        job.release();
      }
      expect(tf.memory().numTensors).toBe(before);
    });
  });
}, ['native', 'wasm']);
