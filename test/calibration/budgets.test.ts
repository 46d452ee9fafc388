import * as tf from '@tensorflow/tfjs-core';
import { reuseLast } from '../../src/cache/predictor';
import { site } from '../../src/cache/sites';
import { calibrate, calibrationForwards } from '../../src/calibration/calibrate';
import { fitRectifications } from '../../src/calibration/fit';
import { scorePolicies, scorePolicy } from '../../src/calibration/measure';
import { qualityOf } from '../../src/calibration/quality';
import { type Reference, referenceRun } from '../../src/calibration/reference';
import { triedPaths } from '../../src/calibration/search/paths';
import { UsageError } from '../../src/errors';
import { computedBy } from '../../src/policy/budget';
import { reusedOf } from '../../src/policy/data';
import type { Job, Pipeline } from '../../src/sampling/pipeline';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const pairs = [1, 2, 3].map(seed => ({ prompt: ['lion', 'key', 'red heart'][seed - 1] as string, seed }));
const base = { pairs, steps: 8, guidance: 2 } as const;

describeOnBackends('schedules that are followed together', () => {
  let pipeline: Pipeline;
  let job: Job;
  let reference: Reference;
  beforeAll(async () => {
    pipeline = toyPipeline();
    job = await pipeline.prepare({ prompts: ['lion', 'key'], seeds: [1, 2], guidance: 2, steps: 6 });
    reference = await referenceRun(job, site('velocity'));
  });
  afterAll(() => {
    reference.dispose();
    job.release();
    pipeline.dispose();
  });
  const schedules = ['##..#.', '##.#..', '#.#..#', '##.#.#'].map(reusedOf);
  const options = { site: site('velocity'), predictor: reuseLast };

  test.each(['lsq', 'linear', 'off'] as const)(
    'are what each is alone, and their common beginnings run once (%s)',
    async form => {
      const before = tf.memory().numTensors;
      const passes = { together: 0, alone: 0 };
      const together = await fitRectifications([reference], schedules, form, 'scalar', {
        ...options,
        onStep: () => void passes.together++,
      });
      for (const [s, schedule] of schedules.entries()) {
        const alone = await fitRectifications([reference], [schedule], form, 'scalar', {
          ...options,
          onStep: () => void passes.alone++,
        });
        expect(together[s]).toEqual(alone[0]);
      }
      expect(passes.together).toBeLessThan(passes.alone);
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  test('each run by itself where the sampler cannot be gone on with in two ways', async () => {
    const solver: Job['solver'] = sigmas => {
      const { state: _, restore: __, ...rest } = job.solver(sigmas);
      return rest;
    };
    const single = { ...reference, job: { ...job, solver } };
    let passes = 0;
    const counted = { ...options, onStep: () => void passes++ };
    const found = await fitRectifications([single], schedules, 'lsq', 'scalar', counted);
    expect(found).toEqual(await fitRectifications([reference], schedules, 'lsq', 'scalar', options));
    expect(passes).toBe(schedules.flat().filter(r => !r).length);
  });

  test('no search does worse than an evenly spread schedule', async () => {
    const tried = await triedPaths([reference], 3, { ...options, rectify: 'lsq' });
    expect(tried.map(({ reused }) => reused)).toContainEqual(reusedOf('#.#.#.'));
  });
});

describeOnBackends('one calibration for many budgets', () => {
  let pipeline: Pipeline;
  beforeAll(() => {
    pipeline = toyPipeline();
  });
  afterAll(() => pipeline.dispose());

  test('has a policy of each, better from one to the next, and costs little more than one', async () => {
    const before = tf.memory().numTensors;
    const options = { ...base, schedule: { budgets: [6, 2, 3, 4, 5, 7] } };
    let [done, most] = [0, 0];
    const onProgress = (now: number, total: number): void => {
      [done, most] = [now, total];
    };
    const policy = await calibrate(pipeline, { ...options, onProgress });
    expect(tf.memory().numTensors).toBe(before);
    const budgets = policy.budgets ?? [];
    expect(budgets.map(computedBy)).toEqual([...new Set(budgets.map(computedBy))].sort((a, b) => a - b));
    expect(budgets.length).toBeGreaterThan(3);
    expect(computedBy(policy)).toBe(4);
    expect(policy.data.calibration.forwards).toBe(done);
    expect(done).toBeLessThanOrEqual(most);
    expect(most).toBe(calibrationForwards(options));

    const scores = await scorePolicies(pipeline, budgets, pairs, { batch: 3 });
    const quality = scores.map(s => qualityOf(s.map(({ floatPsnr }) => 4 / 10 ** (floatPsnr / 10))));
    for (const [i, dB] of quality.entries()) if (i > 0) expect(dB).toBeGreaterThan((quality[i - 1] as number) - 1);
    expect(scores[1]).toEqual(await scorePolicy(pipeline, budgets[1]!, pairs, { batch: 3 }));
  });

  test('gives the very policy of a budget that is searched in every way', async () => {
    const { budgets = [] } = await calibrate(pipeline, { ...base, schedule: { budgets: [3, 4, 5] } });
    const alone = await calibrate(pipeline, { ...base, schedule: { computed: 4 } });
    const found = budgets.find(each => computedBy(each) === 4);
    expect(found?.rectify).toEqual(alone.rectify);
    expect(found?.data.schedule).toBe(alone.data.schedule);
  });

  test('where most steps are computed, every other of many runs is fitted', async () => {
    const many = Array.from({ length: 32 }, (_, i) => ({ prompt: ['lion', 'key'][i % 2] as string, seed: i }));
    const options = { ...base, pairs: many, batch: 8 };
    const { budgets = [] } = await calibrate(pipeline, { ...options, schedule: { budgets: [4, 5, 7] } });
    const found = budgets.find(each => computedBy(each) === 7);
    const half = many.filter((_, i) => Math.floor(i / 8) % 2 === 0);
    const schedule = { reused: reusedOf(found?.data.schedule ?? '') };
    expect(found?.rectify).toEqual((await calibrate(pipeline, { ...options, pairs: half, schedule })).rectify);
  });

  test.each([[[]], [[0, 3]], [[3, 8]], [[2.5]]])('%j are no budgets of 8 steps', async budgets => {
    await expect(calibrate(pipeline, { ...base, schedule: { budgets } })).rejects.toThrow(UsageError);
  });
});
