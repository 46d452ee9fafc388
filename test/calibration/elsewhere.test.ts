import { setTimeout as wait } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { calibrate } from '../../src/calibration/calibrate';
import { measurePolicy } from '../../src/calibration/measure';
import { splitPairs } from '../../src/calibration/pairs';
import { torchGenerator } from '../../src/random/torch-generator';
import { elsewhere } from '../../src/sampling/elsewhere';
import type { Job, Pipeline } from '../../src/sampling/pipeline';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

/** A model whose calls come back in any order. @param most calls after which it fails */
function far(pipeline: Pipeline, seed: number, most = Number.POSITIVE_INFINITY) {
  const random = torchGenerator(seed);
  const jobs = new Map<string, Promise<Job>>();
  let [calls, running, atOnce] = [0, 0, 0];
  const model = elsewhere(pipeline, {
    async forward({ request, branch, timestep, sample }) {
      if (++calls > most) throw new Error('The other machine is gone.');
      atOnce = Math.max(atOnce, ++running);
      await wait(8 * random.uniformFloat());
      running--;
      const key = JSON.stringify(request);
      const job = jobs.get(key) ?? pipeline.prepare(request);
      jobs.set(key, job);
      const evaluation = (await job).branches[branch]!.evaluate(sample, timestep);
      try {
        return await evaluation.compute();
      } finally {
        evaluation.release();
      }
    },
    decode: pipeline.decode,
  });
  const release = async (): Promise<void> => {
    for (const job of jobs.values()) (await job).release();
  };
  return { model, atOnce: () => atOnce, release };
}

const { calibration: pairs } = splitPairs(['red heart', 'blue star', 'lion', 'key'], 6, 2);
const run = { pairs, steps: 6, guidance: 2, batch: 2 } as const;

describeOnBackends('a model that runs elsewhere', () => {
  test.each([
    ['dp', { schedule: { computed: 3 } }],
    ['anneal', { schedule: { computed: 3, search: 'anneal', trials: 3 } }],
    ['walk', { schedule: { computed: 3, search: 'walk' }, site: 'output', rectify: 'linear', timestep: 'global' }],
  ] as const)('is calibrated to the same policy and figures: %s', async (_name, method) => {
    const before = tf.memory().numTensors;
    const pipeline = toyPipeline();
    const here = await calibrate(pipeline, { ...run, ...method });
    const figures = await measurePolicy(pipeline, here, pairs, { batch: 2 });
    for (const seed of [1, 2]) {
      const { model, atOnce, release } = far(pipeline, seed);
      expect(await calibrate(model, { ...run, ...method })).toEqual(here);
      expect(await measurePolicy(model, here, pairs, { batch: 2 })).toEqual(figures);
      expect(atOnce()).toBeGreaterThanOrEqual(3);
      await release();
    }
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('what fails ends the calibration, and nothing is left', async () => {
    const before = tf.memory().numTensors;
    const pipeline = toyPipeline();
    for (const most of [0, 4, 20, 40]) {
      const { model, release } = far(pipeline, 1, most);
      await expect(calibrate(model, { ...run, schedule: { computed: 3 } })).rejects.toThrow('other machine is gone');
      await release();
    }
    pipeline.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('methods that work inside the model are refused', async () => {
    const pipeline = toyPipeline();
    const { model, release } = far(pipeline, 1);
    await expect(calibrate(model, { ...run, schedule: { computed: 3 }, site: 'hidden' })).rejects.toThrow(
      'site "hidden"',
    );
    await release();
    pipeline.dispose();
  });
});
