import * as tf from '@tensorflow/tfjs-core';
import { coarseGrid, coarseMultistep, computedLevels } from '../../src/cache/coarse-grid';
import { ertacache } from '../../src/cache/ertacache';
import type { CachePolicy } from '../../src/cache/policy';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';
import { type GoldenModel, goldenModel } from './golden-job';

const reused = [false, true, false, true, true, false, true, false];

test('the grid keeps the levels of computed steps and the last one', () => {
  expect(computedLevels([1, 0.8, 0.6, 0.4, 0], [false, true, true, false])).toEqual([1, 0.4, 0]);
});

describeOnBackends('fewer steps on a chosen grid', () => {
  let golden: GoldenModel;
  beforeAll(() => {
    golden = goldenModel();
  });
  afterAll(() => golden.dispose());

  async function latentsOf(policy: CachePolicy): Promise<{ values: Float32Array; steps: number }> {
    const job = golden.job({ seeds: [1, 2], steps: reused.length });
    const solver = job.solver(policy.adjust?.(job.sigmas) ?? job.sigmas);
    const { latents, steps } = await sampleLoop({ ...job, solver }, policy);
    const values = await latents.data<'float32'>();
    latents.dispose();
    job.release();
    return { values, steps: steps.length };
  }

  test('is what reusing the velocity on that schedule gives, with as many steps as it computes', async () => {
    const before = tf.memory().numTensors;
    const settings = { site: 'velocity', timestep: { form: 'off', phi: [] }, rectify: { form: 'off' } } as const;
    const cached = await latentsOf(ertacache({ reused, ...settings }));
    const coarse = await latentsOf(coarseGrid(reused));
    expect(coarse.steps).toBe(4);
    expect(maxAbsDifference(coarse.values, cached.values)).toBeLessThan(1e-5);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('with second order, a velocity that changes evenly is followed exactly from the second step on', async () => {
    const before = tf.memory().numTensors;
    const policy = coarseMultistep([false, false, true, false]);
    const sigmas = [1, 0.75, 0.5, 0.25, 0];
    const levels = policy.adjust!(sigmas);
    const run = policy.begin({ steps: 3, sigmas: levels });
    let x = 0;
    const sample = tf.scalar(0);
    for (let i = 0; i < 3; i++) {
      const [sigma, sigmaNext] = [levels[i]!, levels[i + 1]!];
      const value = tf.tensor1d([3 * sigma]);
      const output = run.correct!({ index: i, steps: 3, sigma, sigmaNext }, sample, { value, parts: {} }, 'compute');
      const exact = (3 / 2) * (sigmaNext ** 2 - sigma ** 2);
      if (i > 0) expect((sigmaNext - sigma) * (await output.data())[0]!).toBeCloseTo(exact, 5);
      x += (sigmaNext - sigma) * (await output.data())[0]!;
      tf.dispose([value, output]);
    }
    expect(x).toBeLessThan(0);
    run.dispose();
    sample.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect((await latentsOf(coarseMultistep(reused))).steps).toBe(4);
    expect(tf.memory().numTensors).toBe(before);
  });
});
