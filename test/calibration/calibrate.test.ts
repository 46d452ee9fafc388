import * as tf from '@tensorflow/tfjs-core';
import { ertacache, predictorOf } from '../../src/cache/ertacache';
import { none } from '../../src/cache/none';
import { site } from '../../src/cache/sites';
import { adjustGrid } from '../../src/cache/time-grid';
import { type CalibrateOptions, calibrate, calibrationForwards } from '../../src/calibration/calibrate';
import { fitRectification, fitTrust } from '../../src/calibration/fit';
import { measurePolicy } from '../../src/calibration/measure';
import { referenceRun } from '../../src/calibration/reference';
import { InterruptedError, NumericError, PolicyError, UsageError } from '../../src/errors';
import { computedSteps, parsePolicy, policySettings, requireFits, reusedOf } from '../../src/policy/data';
import type { Pipeline } from '../../src/sampling/pipeline';
import { runJob } from '../../src/sampling/run-job';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const pairs = [
  { prompt: 'red heart', seed: 1 },
  { prompt: 'lion', seed: 2 },
  { prompt: 'key', seed: 3 },
];
const base: CalibrateOptions = {
  pairs,
  steps: 5,
  guidance: 2,
  schedule: { reused: [false, true, true, false, true] },
  rectify: 'off',
  batch: 2,
};

describeOnBackends('calibration', () => {
  let pipeline: Pipeline;
  beforeAll(() => {
    pipeline = toyPipeline();
  });
  afterAll(() => pipeline.dispose());

  const variants: Partial<CalibrateOptions>[] = [
    { site: 'hidden' },
    { site: 'output', rectify: 'linear', timestep: 'cycle' },
    { site: 'output', rectify: 'sigmoid', granularity: 'channel' },
    { site: 'velocity', rectify: 'lsq', timestep: 'global' },
    { site: 'hidden', rectify: 'lsq', taylor: 0.5 },
  ];

  test.each(variants)('with %j makes a policy that its own file format accepts, and nothing leaks', async variant => {
    const before = tf.memory().numTensors;
    const policy = await calibrate(pipeline, { ...base, ...variant });
    expect(tf.memory().numTensors).toBe(before);
    expect(() => parsePolicy(policy.data, 'policy')).not.toThrow();
    expect(policy.data).toMatchObject({
      schedule: '#..#.',
      site: variant.site,
      model: { id: 'toy', hash: 'toy', class: 'FluxTransformer2DModel' },
      scheduler: 'FlowMatchEulerDiscreteScheduler',
      guidance: 2,
      taylor: variant.taylor ?? 0,
      timestep: { form: variant.timestep ?? 'off' },
      rectify: { form: variant.rectify ?? 'off' },
      search: { method: 'given' },
      calibration: { pairs },
    });
    expect(policy.rectify.form).toBe(variant.rectify ?? 'off');
    if (policy.rectify.form === 'sigmoid') expect(policy.rectify.steps[1]!.K).toHaveLength(48);
    const job = await pipeline.prepare({ prompts: ['star'], seeds: [9], steps: 5, guidance: 2 });
    const use = { model: pipeline.info, scheduler: 'FlowMatchEulerDiscreteScheduler', guidance: 2, sigmas: job.sigmas };
    expect(() => requireFits(policy.data, use)).not.toThrow();
    const { schedule, forwards } = await runJob(pipeline, job, ertacache(policySettings(policy)));
    expect([schedule, forwards]).toEqual(['#..#.', 2]);
    job.release();
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each([
    { name: 'hidden', form: 'off', timestep: 'off', strength: 0 },
    { name: 'output', form: 'linear', timestep: 'cycle', strength: 0 },
    { name: 'velocity', form: 'lsq', timestep: 'global', strength: 0.5 },
  ] as const)('is made on the very run that sampling will follow: $name, $form, $timestep', async options => {
    const { name, form, timestep, strength } = options;
    const job = await pipeline.prepare({ prompts: ['lion', 'key'], seeds: [2, 3], steps: 5, guidance: 2 });
    const reused = [false, true, true, false, true];
    const common = { site: site(name), predictor: predictorOf(strength), reused };
    const reference = await referenceRun(job, site(name));
    const phi = timestep === 'off' ? [] : await fitTrust([reference], common);
    const sigmas = adjustGrid(job.sigmas, reused, phi, timestep);
    const { rectify, errors } = await fitRectification([reference], form, 'scalar', { ...common, sigmas });

    const policy = ertacache({ reused, site: name, taylor: strength, timestep: { form: timestep, phi }, rectify });
    const { latents } = await sampleLoop({ ...job, solver: job.solver(policy.adjust!(job.sigmas)) }, policy);
    const sampled = tf.tidy(() =>
      tf.mean(tf.squaredDifference(latents, reference.samples.at(-1)!), [1, 2]).dataSync<'float32'>(),
    );
    // The same tensor operations in the same order; only the means are summed in another one.
    for (const [row, error] of errors.entries()) expect(Math.abs(sampled[row]! / error - 1)).toBeLessThan(1e-4);
    latents.dispose();
    reference.dispose();
    job.release();
  });

  test.each([
    ['walk', undefined],
    ['dp', undefined],
    ['anneal', 2],
  ] as const)('searching by %s leaves exactly the computed steps that were asked for', async (search, trials) => {
    const schedule = { computed: 2, search, ...(trials && { trials }) };
    const { data } = await calibrate(pipeline, { ...base, pairs: pairs.slice(0, 1), schedule });
    expect(computedSteps(reusedOf(data.schedule))).toBe(2);
    expect(data.schedule).toMatch(/^#[#.]{4}$/);
    expect(data.search.method).toBe(search);
    expect(() => parsePolicy(data, 'policy')).not.toThrow();
  });

  test('tells how far it is, never backwards and never beyond what it announced', async () => {
    const exact = [{}, { rectify: 'linear', timestep: 'cycle' }, { schedule: { lambda: 0.35 } }] as const;
    const atMost = [{ rectify: 'lsq' }, { schedule: { computed: 2, trials: 2 } }] as const;
    for (const variant of [...exact, ...atMost]) {
      const seen: number[] = [];
      const options: CalibrateOptions = { ...base, pairs: pairs.slice(0, 2), site: 'output', ...variant };
      const announced = calibrationForwards(options);
      const { data } = await calibrate(pipeline, {
        ...options,
        onProgress: (done, total) => {
          seen.push(done);
          expect(total).toBe(announced);
        },
      });
      const done = seen.at(-1)!;
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      expect(done).toBeLessThanOrEqual(announced);
      if (exact.some(v => v === variant)) expect(done).toBe(announced);
      expect(data.calibration.forwards).toBe(done);
    }
  });

  test('does not depend on how many pairs run at a time', async () => {
    const of = async (batch: number) =>
      (await calibrate(pipeline, { ...base, site: 'output', schedule: { lambda: 0.35 }, batch })).data.schedule;
    const schedule = await of(1);
    expect(schedule).toMatch(/\./);
    expect(await of(3)).toBe(schedule);
  });

  test('names the λ that reuses nothing, and the one that reuses everything, and says what to do', async () => {
    const failure = (lambda: number) =>
      calibrate(pipeline, { ...base, schedule: { lambda } }).then(
        ({ data }) => Promise.reject(new Error(`λ = ${lambda} gave ${data.schedule}`)),
        (error: PolicyError) => error,
      );
    const [nothing, all] = [await failure(1e-5), await failure(100)];
    for (const error of [nothing, all]) expect(error).toBeInstanceOf(PolicyError);
    expect(nothing.message).toBe('λ = 0.00001 reuses no step: every step changes by more.');
    expect(nothing.hint).toContain('larger lambda (--lambda)');
    expect(all.message).toBe('λ = 100 reuses every step but the first.');
    expect(all.hint).toContain('smaller lambda (--lambda)');
  });

  test('measures a policy that reuses nothing as equal, and one that does as worse', async () => {
    const of = async (reused: boolean[]) => {
      const policy = await calibrate(pipeline, { ...base, site: 'output', schedule: { reused } });
      return measurePolicy(pipeline, policy, pairs, { batch: 2 });
    };
    const equal = await of([false, false, false, false, false]);
    // The metric calls images as good as equal 100 dB.
    expect(equal).toMatchObject({
      pairs: 3,
      quantiles: { tenth: 100, median: 100 },
      below40: 0,
      psnr: { mean: 100, min: 100, std: 0 },
      ssim: { mean: expect.closeTo(1, 6), min: expect.closeTo(1, 6), std: expect.closeTo(0, 6) },
    });
    const worse = await of([false, true, true, true, true]);
    expect(worse.psnr.mean).toBeLessThan(60);
    expect(worse.psnr.min).toBeLessThanOrEqual(worse.psnr.mean);
    expect(worse.ssim.mean).toBeLessThan(1);
  });

  describe('leaves no tensor behind', () => {
    test('when it is repeated', async () => {
      const before = tf.memory().numTensors;
      for (let i = 0; i < 2; i++) {
        await calibrate(pipeline, { ...base, site: 'hidden', schedule: { lambda: 0.6 }, rectify: 'lsq' });
        expect(tf.memory().numTensors).toBe(before);
      }
    });

    test.each([1, 7, 12, 18])('when it is interrupted at its %d. sign of life', async when => {
      const before = tf.memory().numTensors;
      const stop = new AbortController();
      let signs = 0;
      const work = calibrate(pipeline, {
        ...base,
        site: 'hidden',
        schedule: { lambda: 0.6 },
        timestep: 'cycle',
        rectify: 'linear',
        signal: stop.signal,
        onProgress: () => {
          if (++signs === when) stop.abort();
        },
      });
      await expect(work).rejects.toThrow(InterruptedError);
      expect(tf.memory().numTensors).toBe(before);
    });

    test('when a later batch cannot be prepared', async () => {
      const before = tf.memory().numTensors;
      const bad = [...pairs.slice(0, 2), { prompt: 'key', seed: 1.5 }];
      await expect(calibrate(pipeline, { ...base, pairs: bad })).rejects.toThrow('seed');
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  test('of a model that returns NaN stops with a NumericError, as sampling from it does', async () => {
    const before = tf.memory().numTensors;
    const broken = toyPipeline({
      change: (name, values) => {
        if (name === 'proj_out.weight') values.fill(Number.NaN);
      },
    });
    await expect(calibrate(broken, base)).rejects.toThrow(NumericError);
    const job = await broken.prepare({ prompts: ['lion'], seeds: [1], steps: 4, guidance: 2 });
    await expect(runJob(broken, job, none())).rejects.toThrow(NumericError);
    job.release();
    broken.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('calibration refuses before it computes', () => {
  const computing = (): never => {
    throw new Error('it was computed');
  };
  const never = { info: { id: 'none' }, prepare: computing, decode: computing } as unknown as Pipeline;
  const given = (reused: boolean[]) => ({ schedule: { reused } });

  test.each<[string, Partial<CalibrateOptions>, string]>([
    ['fewer than four steps', { steps: 3, ...given([false, true, false]) }, 'at least 4 steps; 3 were asked for'],
    ['no pairs', { pairs: [] }, 'at least one prompt'],
    ['a λ of zero', { schedule: { lambda: 0 } }, 'larger than 0'],
    ['a λ that is not a number', { schedule: { lambda: Number.NaN } }, 'larger than 0'],
    ['a budget of no step', { schedule: { computed: 0 } }, '0 of 5 steps'],
    ['a budget of every step', { schedule: { computed: 5 } }, '5 of 5 steps'],
    ['a budget of half a step', { schedule: { computed: 2.5 } }, '2.5 of 5 steps'],
    ['a schedule of another length', given([false, true]), 'has 2 steps, and the run has 5'],
    ['a schedule that reuses the first step', given([true, false, true, false, true]), 'first step'],
    ['batches of nothing', { batch: 0 }, '0 at a time'],
  ])('%s', async (_, change, message) => {
    const work = calibrate(never, { ...base, ...change });
    await expect(work).rejects.toThrow(UsageError);
    await expect(work).rejects.toThrow(message);
  });
});
