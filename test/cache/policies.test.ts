import * as tf from '@tensorflow/tfjs-core';
import { dmd } from '../../src/cache/dmd';
import { ertacache } from '../../src/cache/ertacache';
import { attentionShare } from '../../src/cache/evaluation';
import { fewerSteps } from '../../src/cache/fewer-steps';
import { firstBlock } from '../../src/cache/first-block';
import { hicache } from '../../src/cache/hicache';
import { l2p } from '../../src/cache/l2p';
import { magcache } from '../../src/cache/magcache';
import { meancache } from '../../src/cache/meancache';
import { none } from '../../src/cache/none';
import type { CachePolicy } from '../../src/cache/policy';
import { seacache } from '../../src/cache/seacache';
import { spectrum } from '../../src/cache/spectrum';
import { taylorseer } from '../../src/cache/taylorseer';
import { teacache } from '../../src/cache/teacache';
import { uniform, uniformReuse } from '../../src/cache/uniform';
import { zeus } from '../../src/cache/zeus';
import { InterruptedError } from '../../src/errors';
import type { Job } from '../../src/sampling/pipeline';
import { type LoopOptions, type StepRecord, sampleLoop } from '../../src/sampling/sample-loop';
import { describeOnBackends } from '../support/backends';
import { type GoldenModel, goldenModel } from './golden-job';

const STEPS = 10;
const BLOCKS = 4;

const policies: readonly CachePolicy[] = [
  none(),
  fewerSteps(4),
  uniform(STEPS, 4),
  teacache({ threshold: 0.5, coefficients: [1, 0.2] }),
  firstBlock({ threshold: 0.5 }),
  magcache({ threshold: 0.1, ratios: [1, 1.05, 0.98, 1.02, 0.97] }),
  taylorseer({ interval: 3, order: 2, warmUp: 2 }),
  taylorseer({ interval: 3, lite: true }),
  hicache({ reused: uniformReuse(STEPS, 4), order: 2 }),
  spectrum({ reused: uniformReuse(STEPS, 4) }),
  zeus({ reused: uniformReuse(STEPS, 4) }),
  dmd({ reused: uniformReuse(STEPS, 5) }),
  meancache({ reused: uniformReuse(STEPS, 4, { first: 3 }) }),
  l2p({
    reused: uniformReuse(STEPS, 4),
    weights: Array.from({ length: STEPS }, (_, t) =>
      Array.from({ length: t }, (__, j) => (j === t - 1 ? 1.1 : -0.1 / t)),
    ),
  }),
  seacache({ threshold: 0.2 }),
  ertacache({
    name: 'ertacache with everything',
    reused: uniformReuse(STEPS, 4),
    site: 'hidden',
    taylor: 0.5,
    timestep: { form: 'cycle', phi: Array(STEPS).fill(0.5) },
    // Terms that every run has: the same policy is used with guidance and without.
    rectify: { form: 'lsq', steps: Array(STEPS).fill({ sample: 0.9, one: 0.001 }) },
  }),
];

async function run(
  job: Job,
  policy: CachePolicy,
  options: LoopOptions = {},
): Promise<{ values: number[]; steps: StepRecord[] }> {
  const solver = job.solver(policy.adjust?.(job.sigmas) ?? job.sigmas);
  const { latents, steps } = await sampleLoop({ ...job, solver }, policy, options);
  const values = [...latents.dataSync()];
  latents.dispose();
  return { values, steps };
}

const decisions = (steps: readonly StepRecord[]): string =>
  steps.map(s => (s.decisions.includes('compute') ? '#' : '.')).join('');

describeOnBackends('every policy', () => {
  let golden: GoldenModel;
  beforeAll(() => {
    golden = goldenModel();
  });
  afterAll(() => golden.dispose());

  describe.each(policies.map(policy => [policy.name, policy] as const))('%s', (_name, policy) => {
    test('begins every run afresh and leaves no tensor behind', async () => {
      const before = tf.memory().numTensors;
      const job = golden.job({ seeds: [1], steps: STEPS });
      const other = golden.job({ seeds: [2], steps: STEPS });
      const first = await run(job, policy);
      await run(other, policy);
      const again = await run(job, policy);
      expect(again.values).toEqual(first.values);
      expect(decisions(again.steps)).toBe(decisions(first.steps));
      expect(first.values.every(Number.isFinite)).toBe(true);
      job.release();
      other.release();
      expect(tf.memory().numTensors).toBe(before);
    });

    test('leaves no tensor behind when it is interrupted', async () => {
      const job = golden.job({ seeds: [1], steps: STEPS, guidance: 'separate' });
      const before = tf.memory().numTensors;
      const stop = new AbortController();
      const onStep = ({ index }: StepRecord): void => {
        if (index === 2) stop.abort();
      };
      await expect(run(job, policy, { signal: stop.signal, onStep })).rejects.toThrow(InterruptedError);
      expect(tf.memory().numTensors).toBe(before);
      job.release();
    });

    test('says how many bytes it holds', async () => {
      const job = golden.job({ seeds: [1, 2], steps: STEPS });
      const before = tf.memory().numBytes;
      const held: number[] = [];
      const { steps } = await run(job, policy, {
        onStep: (_record, sample) => {
          held.push(tf.memory().numBytes - before - sample.size * 4);
        },
      });
      expect(steps.map(s => s.cacheBytes)).toEqual(held);
      job.release();
    });

    test('keeps guidance branches apart', async () => {
      const both = golden.job({ seeds: [1], steps: STEPS, guidance: 'separate' });
      const alone = golden.job({ seeds: [1], steps: STEPS });
      const ofFirst = await run({ ...both, guide: alone.guide }, policy);
      const expected = await run(alone, policy);
      expect(ofFirst.values).toEqual(expected.values);
      expect(ofFirst.steps.map(s => s.decisions[0])).toEqual(expected.steps.map(s => s.decisions[0]));
      both.release();
      alone.release();
    });
  });

  test.each([
    ['teacache', teacache({ threshold: 0.5, coefficients: [1, 0.2] }), 0],
    ['fbcache', firstBlock({ threshold: 0.5 }), 1 / BLOCKS],
    ['magcache', magcache({ threshold: 0.1, ratios: [1, 1.05, 0.98, 1.02, 0.97] }), 0],
    ['taylorseer-lite', taylorseer({ interval: 3, lite: true }), 0],
    // Width 20, and 16 image and 6 text tokens that attend to each other.
    ['taylorseer', taylorseer({ interval: 3 }), 1 - (3 * 20 + 2 * 22) / (12 * 20 + 2 * 22)],
  ])('%s counts what a reused step costs', async (_name, policy, cost) => {
    const job = golden.job({ seeds: [1], steps: STEPS });
    const { steps } = await run(job, policy);
    expect(decisions(steps)).toMatch(/^#.*\./);
    for (const step of steps) {
      expect(step.forwards).toBeCloseTo(step.decisions[0] === 'compute' ? 1 : cost, 10);
    }
    job.release();
  });

  test('a threshold of nothing computes every step, and equals no cache', async () => {
    const job = golden.job({ seeds: [1], steps: STEPS });
    const { values } = await run(job, none());
    for (const policy of [teacache({ threshold: 0, coefficients: [1, 0.2] }), firstBlock({ threshold: 0 })]) {
      const cached = await run(job, policy);
      expect(decisions(cached.steps)).toBe('#'.repeat(STEPS));
      expect(cached.values).toEqual(values);
    }
    job.release();
  });
});

test('attention takes a larger share of a block the more keys there are', () => {
  const share = (tokens: number): number => {
    const results = [tf.zeros([1, tokens, 8])];
    const value = attentionShare(results);
    tf.dispose(results);
    return value;
  };
  expect(share(1)).toBeGreaterThan(0.25);
  expect(share(100)).toBeGreaterThan(share(10));
  expect(share(100)).toBeLessThan(1);
});
