import * as tf from '@tensorflow/tfjs-core';
import { calibrate } from '../../src/calibration/calibrate';
import { pairsRequest } from '../../src/calibration/jobs';
import { mixed, unusualGroups, unusualPairs } from '../../src/calibration/mixture';
import { batches, splitPairs } from '../../src/calibration/pairs';
import { UsageError } from '../../src/errors';
import { usePolicy } from '../../src/policy/use';
import { runRequest } from '../../src/sampling/run-job';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const { calibration } = splitPairs(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], 40, 0);

describe('a mixture of prompts', () => {
  test('has as many pairs and the same seeds, and its share of every unusual kind', () => {
    const mixture = mixed(calibration, 0.25, true);
    expect(mixture.map(p => p.seed)).toEqual(calibration.map(p => p.seed));
    for (const group of unusualGroups) expect(mixture.filter(p => p.group === group)).toHaveLength(2);
    expect(mixture.slice(0, 30)).toEqual(calibration.slice(0, 30));
    expect(mixed(calibration, 0, true)).toEqual(calibration);
    expect(mixed(calibration, 1, true)).toHaveLength(40);
    // What does not go into equal parts.
    expect(mixed(calibration.slice(0, 4), 1, true).map(p => p.group)).toEqual([
      'empty',
      'unknown',
      'background',
      'long',
    ]);
    expect(mixed(calibration.slice(0, 7), 1, true)).toHaveLength(7);
  });

  test('has no negative prompts where they do nothing', () => {
    expect(mixed(calibration, 0.5, false).some(p => p.group === 'negative')).toBe(false);
  });

  test('is of prompts that people write and lists of captions do not hold', () => {
    const of = (group: (typeof unusualGroups)[number]) => unusualPairs(calibration, group, 0, 10);
    expect(new Set(of('empty').map(p => p.prompt))).toEqual(new Set(['']));
    expect(of('background')[0]!.prompt).toBe(`${calibration[0]!.prompt} red background`);
    expect(of('long')[0]!.prompt.split(', ')).toHaveLength(4);
    expect(new Set(of('unknown').map(p => p.prompt)).size).toBe(10);
    const negative = of('negative');
    expect(negative.every(p => p.negative !== undefined)).toBe(true);
    expect(negative.map(p => p.prompt)).toEqual(calibration.slice(0, 10).map(p => p.prompt));
  });

  test('runs in batches of one negative prompt each', () => {
    const groups = batches([...calibration.slice(0, 3), ...unusualPairs(calibration, 'negative', 0, 10)], 4);
    expect(groups.map(g => g.length)).toEqual([3, 4, 4, 2]);
    expect(pairsRequest(groups[1]!, { steps: 4, guidance: 3 }).negativePrompt).toBe(groups[1]![0]!.negative);
    expect(pairsRequest(groups[0]!, { steps: 4, guidance: 3 })).not.toHaveProperty('negativePrompt');
    expect(() => pairsRequest(groups.flat(), { steps: 4, guidance: 3 })).toThrow(UsageError);
  });
});

describeOnBackends('a policy says what it has seen', () => {
  test('so that a run whose guidance pulls otherwise is told', async () => {
    const before = tf.memory().numTensors;
    const pipeline = toyPipeline();
    const pairs = Array.from({ length: 16 }, (_, i) => ({ prompt: 'red heart', seed: i }));
    const schedule = { reused: [false, false, true, false, true] };
    const policy = await calibrate(pipeline, { pairs, steps: 5, guidance: 2, schedule, rectify: 'off' });
    const { gap } = policy.data.calibration;
    expect(gap).toMatchObject({ step: 1 });
    expect(gap!.to).toBeGreaterThan(gap!.from);
    const request = { prompts: ['red heart', 'red heart'], seeds: [1, 2], steps: 5, guidance: 2 };
    const outside = async (seen: typeof gap) => {
      const data = { ...policy.data, calibration: { ...policy.data.calibration, gap: seen } };
      const { sigmas } = policy.data;
      const use = { model: pipeline.info, scheduler: pipeline.info.schedulerClass, guidance: 2, sigmas };
      return (await runRequest(pipeline, request, usePolicy({ ...policy, data }, use))).outside;
    };
    expect(await outside(gap)).toEqual([false, false]);
    expect(await outside({ step: 1, from: 10 * gap!.to, to: 20 * gap!.to })).toEqual([true, true]);
    expect(await outside(undefined)).toBeUndefined();
    const few = await calibrate(pipeline, { pairs: pairs.slice(1), steps: 5, guidance: 2, schedule, rectify: 'off' });
    expect(few.data.calibration.gap).toBeUndefined();
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
