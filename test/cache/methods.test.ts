import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { type Evaluation, evaluateFunction, type ModelParts } from '../../src/cache/evaluation';
import { resampleGrid } from '../../src/cache/fewer-steps';
import { firstBlock } from '../../src/cache/first-block';
import { FLUX_MAG_RATIOS, magcache, magcachePlan, nearestRatios } from '../../src/cache/magcache';
import type { BranchCache, CachePolicy, Decision, StepInfo } from '../../src/cache/policy';
import { methodCalled, methods, taylorseerFor } from '../../src/cache/registry';
import { taylorseer, taylorseerPlan } from '../../src/cache/taylorseer';
import { teacache } from '../../src/cache/teacache';
import { PolicyError, UnsupportedError, UsageError } from '../../src/errors';
import { publishedPolynomial, publishedPolynomials } from '../../src/models/polynomials';
import { presetNames } from '../../src/models/presets';
import { describeOnBackends } from '../support/backends';

const stepAt = (index: number, steps: number): StepInfo => ({
  index,
  steps,
  sigma: 1 - index / steps,
  sigmaNext: 1 - (index + 1) / steps,
});

function branchOf(policy: CachePolicy, steps: number): BranchCache {
  return policy.begin({ steps, sigmas: Array.from({ length: steps + 1 }, (_, i) => 1 - i / steps) }).branch();
}

/** A model of two blocks, all of whose tensors hold one value. */
function constantModel(value: number): Evaluation {
  const made = (): tf.Tensor => tf.fill([1, 2, 3], value);
  const stream = { tokens: { hidden: made() }, shared: {} };
  const parts: ModelParts = {
    blockCount: 2,
    embed: () => stream,
    blocks: async () => ({ hidden: made() }),
    head: made,
    signal: async () => made(),
  };
  return {
    sample: stream.tokens.hidden,
    parts,
    compute: async () => made(),
    spent: () => 0,
    release: () => tf.dispose(stream.tokens.hidden),
  };
}

describeOnBackends('caching methods', () => {
  test.each([
    ['teacache', teacache({ threshold: 1, coefficients: [1, 0] })],
    ['first-block cache', firstBlock({ threshold: 1 })],
  ])('%s computes where the signal is not a number', async (_name, policy) => {
    const before = tf.memory().numTensors;
    const branch = branchOf(policy, 6);
    const decisions: Decision[] = [];
    for (let i = 0; i < 6; i++) {
      const evaluation = constantModel(Number.NaN);
      const { output, decision } = await branch.evaluate(stepAt(i, 6), evaluation);
      decisions.push(decision);
      output.dispose();
      evaluation.release();
    }
    branch.dispose();
    expect(decisions).toEqual(Array(6).fill('compute'));
    expect(tf.memory().numTensors).toBe(before);
  });

  test('TaylorSeer of order 1 foretells what changes evenly, of order 0 what stays', async () => {
    const last = async (order: number, output: (step: number) => number): Promise<number[]> => {
      const branch = branchOf(taylorseer({ lite: true, order, interval: 4, warmUp: 2 }), 10);
      const values: number[] = [];
      for (let i = 0; i < 10; i++) {
        const evaluation = evaluateFunction(tf.zeros([2]), () => tf.fill([2], output(i)));
        const result = await branch.evaluate(stepAt(i, 10), evaluation);
        values.push(result.output.dataSync()[0] as number);
        tf.dispose([result.output, evaluation.sample]);
      }
      branch.dispose();
      return values;
    };
    const straight = Array.from({ length: 10 }, (_, i) => 3 - 0.5 * i);
    expect(await last(1, i => 3 - 0.5 * i)).toEqual(straight);
    expect(await last(2, i => 3 - 0.5 * i)).toEqual(straight);
    expect(await last(0, i => i)).toEqual([0, 1, 1, 3, 3, 3, 3, 7, 7, 7]);
  });

  test('methods that work inside a model refuse a plain function', async () => {
    const sample = tf.zeros([2]);
    const evaluation = evaluateFunction(sample, x => x.clone());
    for (const policy of [
      teacache({ threshold: 1, coefficients: [1, 0] }),
      firstBlock({ threshold: 1 }),
      taylorseer({}),
    ]) {
      await expect(branchOf(policy, 4).evaluate(stepAt(0, 4), evaluation)).rejects.toThrow(UnsupportedError);
    }
    sample.dispose();
  });

  test('TaylorSeer refuses a model whose attention it cannot see', async () => {
    const evaluation = constantModel(1);
    await expect(branchOf(taylorseer({}), 4).evaluate(stepAt(0, 4), evaluation)).rejects.toThrow('shows none');
    evaluation.release();
  });
});

describe('options that cannot be right', () => {
  test.each([
    ['a threshold below 0', () => firstBlock({ threshold: -1 })],
    ['a threshold that is no number', () => teacache({ threshold: Number.NaN, coefficients: [1] })],
    ['no polynomial', () => teacache({ threshold: 1, coefficients: [] })],
    ['a broken polynomial', () => teacache({ threshold: 1, coefficients: [1, Number.NaN] })],
    ['no ratios', () => magcache({ threshold: 1, ratios: [] })],
    ['broken ratios', () => magcache({ threshold: 1, ratios: [1, Number.NaN] })],
    ['a retained part above 1', () => magcache({ threshold: 1, ratios: [1], retentionRatio: 2 })],
    ['an interval of 0', () => taylorseer({ interval: 0 })],
    ['half an order', () => taylorseer({ order: 0.5 })],
  ])('%s', (_name, make) => expect(make).toThrow(PolicyError));
});

describe('TeaCache', () => {
  test('published polynomials belong to presets that exist', () => {
    for (const published of publishedPolynomials) {
      expect(presetNames()).toContain(published.preset);
      expect(publishedPolynomial(published.preset)).toHaveLength(5);
    }
    expect(() => publishedPolynomial('fluent-emoji')).toThrow(PolicyError);
  });
});

describe('MagCache', () => {
  test('ratios for as many steps stay, for others they come from the nearest', () => {
    expect(nearestRatios(FLUX_MAG_RATIOS, 28)).toEqual(FLUX_MAG_RATIOS);
    expect(nearestRatios([1, 2, 3], 1)).toEqual([3]);
    // Places 0, 0.5, 1, 1.5 and 2: halves go to the even neighbour.
    expect(nearestRatios([1, 2, 3], 5)).toEqual([1, 1, 2, 3, 3]);
  });

  test('limits and the retained part hold, whatever the ratios', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.double({ min: 0.5, max: 1.5, noNaN: true }), { minLength: 1, maxLength: 60 }),
        fc.double({ min: 0, max: 2, noNaN: true }),
        fc.integer({ min: 0, max: 8 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (steps, ratios, threshold, maxSkipSteps, retentionRatio) => {
          const plan = magcachePlan(steps, { threshold, ratios, maxSkipSteps, retentionRatio });
          expect(plan).toHaveLength(steps);
          expect(plan[0]?.decision).toBe('compute');
          const text = plan.map(p => (p.decision === 'compute' ? '#' : '.')).join('');
          expect(text).not.toContain('.'.repeat(maxSkipSteps + 1));
          expect(text.slice(0, Math.floor(retentionRatio * steps + 0.5))).not.toContain('.');
          for (const { decision, signal } of plan) {
            if (decision === 'reuse') expect(signal?.error).toBeLessThanOrEqual(Math.fround(threshold));
          }
        },
      ),
    );
  });
});

describe('TaylorSeer', () => {
  test('computes the first step even without a warm-up', () => {
    expect(taylorseerPlan(6, { warmUp: 0, interval: 3 })).toEqual([
      'compute',
      'compute',
      'reuse',
      'reuse',
      'compute',
      'reuse',
    ]);
  });

  test('meets any budget of two steps or more exactly', () => {
    for (let steps = 4; steps <= 50; steps += 2) {
      for (let computed = 2; computed <= steps; computed++) {
        const plan = taylorseerPlan(steps, taylorseerFor({ steps, computed }));
        expect(plan.filter(d => d === 'compute')).toHaveLength(computed);
      }
    }
    expect(() => taylorseerFor({ steps: 30, computed: 1 })).toThrow(UsageError);
  });
});

describe('fewer steps', () => {
  test('keeps the ends and falls, whatever the grid', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.001, max: 1, noNaN: true }), { minLength: 1, maxLength: 50 }),
        fc.integer({ min: 1, max: 60 }),
        (lengths, steps) => {
          const sigmas = [100];
          for (const length of lengths) sigmas.push((sigmas.at(-1) as number) - length);
          const coarse = resampleGrid(sigmas, steps);
          expect(coarse).toHaveLength(steps + 1);
          expect(coarse[0]).toBe(sigmas[0]);
          expect(coarse.at(-1)).toBe(sigmas.at(-1));
          for (let i = 0; i < steps; i++) expect(coarse[i + 1]).toBeLessThan(coarse[i] as number);
        },
      ),
    );
    expect(resampleGrid([1, 0.75, 0.5, 0.25, 0], 2)).toEqual([1, 0.5, 0]);
  });
});

describe('the registry', () => {
  test('has one entry a name, each with what a reader needs', () => {
    expect(new Set(methods.map(m => m.name)).size).toBe(methods.length);
    for (const { title, summary } of methods) {
      expect(title.length).toBeGreaterThan(0);
      expect(summary).toMatch(/\.$/);
    }
    expect(methodCalled('teacache').kind).toBe('threshold');
    expect(() => methodCalled('deepcache')).toThrow(UsageError);
  });

  test('makes every scheduled method for a budget, and names it alike', () => {
    for (const method of methods) {
      if (method.kind === 'scheduled') expect(method.create({ steps: 30, computed: 10 }).name).toBe(method.name);
      if (method.kind === 'threshold') {
        expect(method.create(0.1, { polynomial: [1, 0], ratios: [1], history: [] }).name).toBe(method.name);
      }
    }
  });
});
