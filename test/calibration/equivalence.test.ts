import * as tf from '@tensorflow/tfjs-core';
import { lookBackOf } from '../../src/cache/corrector';
import { ertacache, predictorOf } from '../../src/cache/ertacache';
import type { RectifyForm } from '../../src/cache/rectify';
import { type SiteName, site, siteNames } from '../../src/cache/sites';
import { adjustGrid, type TimestepForm } from '../../src/cache/time-grid';
import { fitRectification, fitTrust } from '../../src/calibration/fit';
import { rowErrors } from '../../src/calibration/follow';
import { type Reference, referenceRun } from '../../src/calibration/reference';
import { reusedOf } from '../../src/policy/data';
import type { Job, Pipeline } from '../../src/sampling/pipeline';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { velocityJob } from '../../src/sampling/velocity/job';
import { defineScheduler } from '../../src/sampling/velocity/scheduler';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

/** Five computed steps, so that the last reused ones can look back on four and more. */
const REUSED = reusedOf('#.##.#.#..');
const STEPS = REUSED.length;

interface Method {
  readonly name: SiteName;
  readonly taylor: number;
  readonly form: RectifyForm;
  readonly depth?: number;
  readonly timestep?: TimestepForm;
}

/** A job whose solver notes the latent after every step; of the solvers it makes, the last one's stay. */
function watched(job: Job): { readonly job: Job; readonly latents: () => readonly number[][] } {
  let latents: number[][] = [];
  return {
    latents: () => latents,
    job: {
      ...job,
      solver(sigmas) {
        const solver = job.solver(sigmas);
        const seen: number[][] = [];
        latents = seen;
        return {
          ...solver,
          step(index, output, sample, noise) {
            const next = solver.step(index, output, sample, noise);
            seen[index] = [...next.dataSync<'float32'>()];
            return next;
          },
        };
      },
    },
  };
}

/** Where every job came to, step by step, in calibration and in sampling. */
interface Both {
  readonly fitted: readonly (readonly number[][])[];
  readonly sampled: readonly (readonly number[][])[];
  /** Mean squared error of every row at the end. */
  readonly errors: { readonly fitted: readonly number[]; readonly sampled: readonly number[] };
  readonly lookBack: number;
  /** Bytes that the cache held after the last step of the first job. */
  readonly bytes: number;
}

/** Fits the method on the runs, and then samples each of them with what was fitted. */
async function fitAndSample(references: readonly Reference[], method: Method): Promise<Both> {
  const { name, taylor, form, depth, timestep = 'off' } = method;
  const runs = references.map(reference => watched(reference.job));
  const following = references.map((reference, r) => ({ ...reference, job: runs[r]!.job }));
  const options = {
    site: site(name),
    predictor: predictorOf(taylor),
    reused: REUSED,
    ...(depth !== undefined && { depth }),
  };
  const phi = timestep === 'off' ? [] : await fitTrust(following, options);
  const sigmas = adjustGrid(references[0]!.job.sigmas, REUSED, phi, timestep);
  const { rectify, errors } = await fitRectification(following, form, 'scalar', { ...options, sigmas });
  const fitted = runs.map(run => run.latents());

  const policy = ertacache({ reused: REUSED, site: name, taylor, timestep: { form: timestep, phi }, rectify });
  const sampledErrors: number[] = [];
  let bytes = 0;
  for (const [r, { job }] of runs.entries()) {
    const solver = job.solver(policy.adjust!(job.sigmas));
    const { latents, steps } = await sampleLoop({ ...job, solver }, policy);
    sampledErrors.push(...(await rowErrors(latents, references[r]!.samples.at(-1)!)));
    latents.dispose();
    if (r === 0) bytes = steps.at(-1)!.cacheBytes;
  }
  return {
    fitted,
    sampled: runs.map(run => run.latents()),
    errors: { fitted: errors, sampled: sampledErrors },
    lookBack: lookBackOf(rectify),
    bytes,
  };
}

function expectSame({ fitted, sampled, errors }: Both): void {
  for (const run of fitted) expect(run).toHaveLength(STEPS);
  expect(sampled).toEqual(fitted);
  expect(errors.sampled).toEqual(errors.fitted);
  expect(errors.fitted.every(e => Number.isFinite(e) && e > 0)).toBe(true);
}

const forms: Pick<Method, 'form' | 'depth'>[] = [
  { form: 'off' },
  { form: 'linear' },
  { form: 'sigmoid' },
  ...[1, 2, 3, 4].map(depth => ({ form: 'lsq' as const, depth })),
];
const methods: Method[] = siteNames.flatMap(name =>
  [0, 0.5].flatMap(taylor => forms.map(form => ({ name, taylor, ...form }))),
);
const others: Method[] = [
  { name: 'velocity', taylor: 0, form: 'lsq' },
  { name: 'hidden', taylor: 1, form: 'lsq', depth: 2, timestep: 'cycle' },
  { name: 'output', taylor: 0, form: 'linear', timestep: 'global' },
  { name: 'velocity', taylor: 0.5, form: 'lsq', depth: 4, timestep: 'global' },
];

describeOnBackends('what calibration fits is what a sampling run does', () => {
  let pipeline: Pipeline;
  let jobs: Job[];
  let references: Reference[];
  beforeAll(async () => {
    pipeline = toyPipeline();
    const run = (prompts: string[], seeds: number[]) => pipeline.prepare({ prompts, seeds, steps: STEPS, guidance: 2 });
    jobs = [await run(['red heart', 'lion'], [1, 2]), await run(['key'], [3])];
    references = [];
    // The trajectory of an uncached run does not depend on where a residual is taken.
    for (const job of jobs) references.push(await referenceRun(job, site('velocity')));
  });
  afterAll(() => {
    for (const reference of references) reference.dispose();
    for (const job of jobs) job.release();
    pipeline.dispose();
  });

  test.each([...methods, ...others])('to the bit, at every step, and nothing leaks: %j', async method => {
    const before = tf.memory().numTensors;
    const both = await fitAndSample(references, method);
    expectSame(both);
    if (method.form === 'lsq') expect(both.lookBack).toBe(method.depth ?? 3);
    expect(tf.memory().numTensors).toBe(before);
  });

  const ends = (all: readonly Both[], side: 'fitted' | 'sampled'): number =>
    new Set(all.map(both => both[side].map(run => run.at(-1)!.join()).join())).size;

  test.each(siteNames)('%s: another depth is another fit and another run', async name => {
    const all: Both[] = [];
    for (const depth of [1, 2, 3, 4]) all.push(await fitAndSample(references, { name, taylor: 0, form: 'lsq', depth }));
    expect([ends(all, 'fitted'), ends(all, 'sampled')]).toEqual([4, 4]);
    // Each age costs the two parts of a guided output.
    const [first, ...more] = all.map(both => both.bytes);
    const age = 2 * 4 * jobs[0]!.latents.size;
    expect(more.map(bytes => bytes - first!)).toEqual([age, 2 * age, 3 * age]);
  });

  test.each(siteNames)('%s: another predictor is another fit and another run', async name => {
    for (const form of ['off', 'linear', 'lsq'] as const) {
      const all: Both[] = [];
      for (const taylor of [0, 0.5, 1]) all.push(await fitAndSample(references, { name, taylor, form }));
      expect([ends(all, 'fitted'), ends(all, 'sampled')]).toEqual([3, 3]);
    }
  });
});

describeOnBackends('the same of a function with two branches, and of a sampler that cannot say what leads back', () => {
  test.each<Method>([
    { name: 'velocity', taylor: 0, form: 'lsq', depth: 2 },
    { name: 'output', taylor: 0.5, form: 'lsq', depth: 4 },
    { name: 'output', taylor: 0, form: 'sigmoid' },
  ])('%j', async method => {
    const before = tf.memory().numTensors;
    const latents = tf.randomNormal([2, 24], 0, 1, 'float32', 7);
    const scheduler = defineScheduler({
      name: 'bent',
      sigmas: Array.from({ length: STEPS + 1 }, (_, i) => (1 - i / STEPS) ** 1.2),
      step: (x, v, { sigma, sigmaNext }) => tf.add(x, tf.mul(tf.tanh(v), sigmaNext - sigma)),
    });
    const wave = (x: tf.Tensor, t: number, phase: number): tf.Tensor =>
      tf.tidy(() => tf.sin(tf.add(tf.mul(x, 1 + 2 * t), 3 * t + phase)));
    const guided = {
      conditional: (x: tf.Tensor, t: number) => wave(x, t, 0),
      unconditional: (x: tf.Tensor, t: number) => wave(x, t, 1),
      scale: 2,
    };
    const reference = await referenceRun(velocityJob(guided, scheduler, { latents }), site('velocity'));
    expectSame(await fitAndSample([reference], method));
    reference.dispose();
    latents.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
