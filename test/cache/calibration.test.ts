import * as tf from '@tensorflow/tfjs-core';
import { firstBlock } from '../../src/cache/first-block';
import { methodCalled, type ScheduledMethod, type ThresholdMethod } from '../../src/cache/registry';
import { evaluatePolynomial } from '../../src/cache/teacache';
import { measureBaselines } from '../../src/calibration/baselines';
import { measureRatios } from '../../src/calibration/magcache-ratios';
import { observeRuns, pairsOf } from '../../src/calibration/observe';
import { changeRecord, fitPolynomial, fitTeaCache } from '../../src/calibration/teacache-fit';
import { methodAtBudget, tuneThreshold } from '../../src/calibration/tune-threshold';
import { NumericError, UsageError } from '../../src/errors';
import type { Job } from '../../src/sampling/pipeline';
import { describeOnBackends } from '../support/backends';
import { type GoldenModel, goldenModel } from './golden-job';

const inputs = Array.from({ length: 40 }, (_, i) => 0.002 * i);

describe('fitting a polynomial', () => {
  test('finds the one that the points lie on', () => {
    const truth = [40, -9, 3, 0.5, 0.01];
    const { coefficients, r2, points } = fitPolynomial(
      inputs.map(input => ({ input, output: evaluatePolynomial(truth, input) })),
    );
    for (const [i, c] of coefficients.entries()) expect(c).toBeCloseTo(truth[i] as number, 5);
    expect(r2).toBeCloseTo(1, 9);
    expect(points).toBe(40);
  });

  test('says how much it explains', () => {
    const jitter = (i: number): number => 0.01 * Math.sin(i * 12.9898);
    const { r2 } = fitPolynomial(inputs.map((input, i) => ({ input, output: input + jitter(i) })));
    expect(r2).toBeGreaterThan(0.8);
    expect(r2).toBeLessThan(1);
  });

  test('makes do with too few or equal points, and refuses those that are no numbers', () => {
    const { coefficients, r2 } = fitPolynomial([
      { input: 0.1, output: 0.2 },
      { input: 0.1, output: 0.2 },
    ]);
    expect(evaluatePolynomial(coefficients, 0.1)).toBeCloseTo(0.2, 9);
    expect(r2).toBe(1);
    expect(() => fitPolynomial([{ input: Number.NaN, output: 1 }])).toThrow(NumericError);
    expect(() => fitPolynomial([])).toThrow(NumericError);
  });
});

describeOnBackends('calibrating the baselines', () => {
  let golden: GoldenModel;
  beforeAll(() => {
    golden = goldenModel();
  });
  afterAll(() => golden.dispose());

  const released = async <T>(jobs: Job[], work: (jobs: Job[]) => Promise<T>): Promise<T> => {
    try {
      return await work(jobs);
    } finally {
      for (const job of jobs) job.release();
    }
  };

  test('one run measures what the single calibrations do', async () => {
    const before = tf.memory().numTensors;
    await released([golden.job({ seeds: [1, 2], steps: 8, guidance: 'batched' })], async jobs => {
      const facts = await measureBaselines(jobs);
      const ratios = await measureRatios(jobs);
      const fit = await fitTeaCache(jobs);
      expect(facts.ratios).toEqual(ratios);
      expect(facts.polynomial).toEqual(fit.coefficients);
      expect(ratios).toHaveLength(8);
      expect(ratios[0]).toBe(1);
      expect(fit.points).toBe(2 * 7);
      expect(fit.r2).toBeGreaterThan(0);
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a pair shows the same changes alone and in a batch', async () => {
    const changes = (seeds: number[][]) =>
      released(
        seeds.map(s => golden.job({ seeds: s, steps: 5, guidance: 'batched' })),
        async jobs => {
          const record = changeRecord('output');
          await observeRuns(jobs, job => record.observer(pairsOf(job)));
          return record.points();
        },
      );
    const alone = await changes([[1], [2]]);
    const together = await changes([[1, 2]]);
    expect(together).toHaveLength(alone.length);
    // In a batch the pairs of a step stand together; alone the steps of a pair.
    together.forEach((point, i) => {
      const other = alone[(i % 2) * 4 + Math.floor(i / 2)];
      expect(point.input).toBeCloseTo(other?.input as number, 5);
      expect(point.output).toBeCloseTo(other?.output as number, 4);
    });
  });

  test('a threshold is found for a number of steps', async () => {
    const before = tf.memory().numTensors;
    await released(
      [1, 2, 3].map(seed => golden.job({ seeds: [seed], steps: 12 })),
      async jobs => {
        const tried: number[] = [];
        const tuned = await tuneThreshold(jobs, threshold => firstBlock({ threshold }), 6, {
          range: [1e-3, 5],
          tolerance: 0.5,
          onTry: (_threshold, _cost, pairs) => tried.push(pairs),
        });
        expect(Math.abs(tuned.computed - 6)).toBeLessThanOrEqual(0.5);
        // A reused step runs one block of four.
        expect(tuned.forwards).toBeCloseTo(tuned.computed + (12 - tuned.computed) / 4, 6);
        expect(tried[0]).toBe(2);
        expect(tried.at(-1)).toBe(3);
        const byForwards = await tuneThreshold(jobs, threshold => firstBlock({ threshold }), 6, {
          range: [1e-3, 5],
          tolerance: 0.5,
          count: 'forwards',
        });
        expect(Math.abs(byForwards.forwards - 6)).toBeLessThanOrEqual(0.5);
        expect(byForwards.threshold).toBeGreaterThan(tuned.threshold);
      },
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  test('batches are refused, for they are decided on as one', async () => {
    const options = { range: [1e-3, 5] as const };
    await released([golden.job({ seeds: [1, 2], steps: 4 })], async jobs => {
      await expect(tuneThreshold(jobs, threshold => firstBlock({ threshold }), 2, options)).rejects.toThrow(UsageError);
    });
    await expect(tuneThreshold([], threshold => firstBlock({ threshold }), 2, options)).rejects.toThrow(UsageError);
  });

  test('a method whose decisions are known beforehand is tuned without running', async () => {
    const facts = { polynomial: [1, 0], ratios: Array.from({ length: 30 }, (_, i) => 1 - 0.001 * i), history: [] };
    const { policy, tuned } = await methodAtBudget(
      methodCalled('magcache') as ThresholdMethod,
      { steps: 30, computed: 10 },
      [],
      facts,
    );
    expect(policy.name).toBe('magcache');
    expect(tuned).toMatchObject({ computed: 10, spent: 0 });
    const uniform = await methodAtBudget(
      methodCalled('uniform') as ScheduledMethod,
      { steps: 30, computed: 10 },
      [],
      facts,
    );
    expect(uniform.tuned).toBeUndefined();
  });
});
