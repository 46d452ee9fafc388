import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { dmd, dmdWeights } from '../../src/cache/dmd';
import { evaluateFunction } from '../../src/cache/evaluation';
import { type Forecast, forecasting, taylorForecast } from '../../src/cache/forecast';
import { hermite, hermiteForecast, hicache } from '../../src/cache/hicache';
import { historyForecast, l2p } from '../../src/cache/l2p';
import { averageForecast, type MeanCacheForm, meancache } from '../../src/cache/meancache';
import type { BranchCache, CachePolicy } from '../../src/cache/policy';
import { chebyshevForecast, spectrum } from '../../src/cache/spectrum';
import { spreads, uniformReuse } from '../../src/cache/uniform';
import {
  dmdVariants,
  hicacheVariants,
  l2pVariants,
  magcacheVariants,
  meancacheVariants,
  spectrumVariants,
  taylorseerVariants,
  uniformVariants,
  type Variant,
  zeusVariants,
} from '../../src/cache/variants';
import { interleavedForecast, zeus } from '../../src/cache/zeus';
import { fitHistory } from '../../src/calibration/history-fit';
import { PolicyError } from '../../src/errors';
import { describeOnBackends } from '../support/backends';

/** Schedules of any kind whose first two steps are computed. */
const schedules = fc
  .array(fc.boolean(), { minLength: 2, maxLength: 20 })
  .map(rest => [false, false, ...rest] as readonly boolean[]);

const levels = (steps: number): number[] => Array.from({ length: steps + 1 }, (_, i) => 1 - i / steps);

/** What a forecast makes of `value(step)` at every step of a schedule; `value` itself where a step is computed. */
function followed(forecast: Forecast, reused: readonly boolean[], value: (step: number) => number): number[] {
  const sigmas = levels(reused.length);
  const computed: number[] = [];
  return reused.map((reuse, at) => {
    if (!reuse) {
      computed.unshift(at);
      return value(at);
    }
    const kept = computed.slice(0, forecast.depth);
    return forecast
      .weights({ computed: kept, at, sigmas })
      .reduce((sum, w, k) => sum + w * value(kept[k] as number), 0);
  });
}

const straight = (step: number): number => 3 - 0.5 * step;

/** The weights with which a linear series over steps goes on, as a fit on such series finds them. */
const linearHistory = (steps: number): number[][] =>
  Array.from({ length: steps }, (_, t) =>
    Array.from({ length: t }, (__, j) => (j === t - 1 ? (t === 1 ? 1 : 2) : j === t - 2 ? -1 : 0)),
  );

test('MeanCache by the paper leads over a cycle as far as its average velocity', () => {
  const reused = [false, false, false, true, true, false];
  const [, , own, ...later] = followed(averageForecast(reused, 2, 'interval'), reused, straight);
  // Over two steps the velocities are 3 and 2.5 on average 2.75: J = (3 - 2.75) / 2, and û = v - 3 J over three steps.
  const average = 2 - 3 * (0.25 / 2);
  expect(((own as number) + later[0]! + later[1]!) / 3).toBeCloseTo(average, 10);
  // Step by step, as released, each of them starts from the one before.
  const stepwise = followed(averageForecast(reused, 2, 'stepwise'), reused, straight);
  expect(stepwise[3]).toBeCloseTo(2 - (2.5 - 2.25) / 2, 10);
});

describe('a linear series is extrapolated exactly', () => {
  test.each<[string, Forecast]>([
    ['Taylor, order 1', taylorForecast(1)],
    ['Taylor, order 2', taylorForecast(2)],
    ['HiCache, order 1', hermiteForecast(1)],
    ['HiCache, order 2', hermiteForecast(2)],
    ['Spectrum without a ridge', chebyshevForecast(1, 1e-12, 1)],
    ['Spectrum, its local half', chebyshevForecast(4, 0.1, 0)],
    ['L2P', historyForecast(linearHistory(22))],
  ])('%s', (_name, forecast) => {
    fc.assert(
      fc.property(schedules, reused => {
        for (const [step, value] of followed(forecast, reused, straight).entries()) {
          expect(value).toBeCloseTo(straight(step), 5);
        }
      }),
    );
  });

  test('ZEUS, at the steps that it extrapolates; the others repeat', () => {
    fc.assert(
      fc.property(schedules, reused => {
        let last = 0;
        for (const [step, value] of followed(interleavedForecast('step'), reused, straight).entries()) {
          if (!reused[step]) last = step;
          expect(value).toBeCloseTo(straight((step - last) % 2 === 1 ? step : last), 10);
        }
      }),
    );
    // As far again as the last two lie apart, wherever the step is.
    const reused = [false, false, true, false, true];
    expect(followed(interleavedForecast('unit'), reused, straight)[4]).toBeCloseTo(straight(5), 10);
  });

  test('MeanCache, corrected, from the third computed step on', () => {
    const begun = schedules.map(rest => [false, ...rest]);
    fc.assert(
      fc.property(begun, fc.integer({ min: 2, max: 5 }), (reused, window) => {
        const found = followed(averageForecast(reused, window, 'corrected'), reused, straight);
        for (const [step, value] of found.entries()) expect(value).toBeCloseTo(straight(step), 8);
      }),
    );
  });

  test('DMD, once it has four outputs, and by the line before', async () => {
    const direction = [1, -2, 0.5];
    const snapshots = [0, 2, 4, 6].map(t => direction.map((d, i) => i + 1 + 0.1 * d * t));
    const weights = dmdWeights(snapshots, 0.5);
    const ahead = snapshots[0]!.map((_, n) => weights.reduce((sum, w, k) => sum + w * snapshots[k]![n]!, 0));
    for (const [i, value] of ahead.entries()) expect(value).toBeCloseTo(i + 1 + 0.1 * direction[i]! * 7, 3);
  });
});

test('DMD forecasts a decaying oscillation exactly, and repeats where there is nothing to fit', () => {
  const at = (t: number): number[] => [0, 1, 2, 3].map(n => 0.9 ** t * Math.cos(0.5 * t + n) + 0.8 ** t);
  const snapshots = [0, 1, 2, 3, 4].map(at);
  const weights = dmdWeights(snapshots, 1.5);
  const expected = at(5.5);
  for (const [n, value] of expected.entries()) {
    expect(weights.reduce((sum, w, k) => sum + w * snapshots[k]![n]!, 0)).toBeCloseTo(value, 5);
  }
  expect(
    dmdWeights(
      [
        [0, 0],
        [0, 0],
        [0, 0],
      ],
      1,
    ),
  ).toEqual([0, 0, 1]);
  expect(
    dmdWeights(
      [
        [1, Number.NaN],
        [1, 2],
        [1, 2],
      ],
      1,
    ),
  ).toEqual([0, 0, 1]);
});

test('Hermite polynomials are the physicists', () => {
  expect([0, 1, 2, 3].map(n => hermite(n, 1.5))).toEqual([1, 3, 4 * 2.25 - 2, 8 * 3.375 - 12 * 1.5]);
});

test('a ridge pulls the fit of Spectrum towards nothing, and many outputs outweigh it', () => {
  const reused = [...Array<boolean>(10).fill(false), true];
  const value = followed(chebyshevForecast(1, 0.1, 1), reused, () => 5).at(-1)!;
  expect(value).toBeLessThan(5);
  expect(value).toBeGreaterThan(4.8);
});

test('MeanCache looking one step back, or released step by step from one, repeats', () => {
  const reused = [false, false, true, true, false, true];
  for (const form of ['corrected', 'interval', 'stepwise'] as MeanCacheForm[]) {
    expect(followed(averageForecast(reused, 1, form), reused, straight)).toEqual([3, 2.5, 2.5, 2.5, 1, 1]);
  }
});

test("L2P's weights are the least squares on what they are fitted on", () => {
  // Outputs of four steps, each the sum of two former ones: rows are steps, columns what a run has.
  const runs = [1, 2, 3, 4, 5].map(n => {
    const [a, b] = [Math.sin(n), Math.cos(3 * n)];
    return [a, b, 0.5 * a + 2 * b, 0.25 * a - b];
  });
  const gram = [0, 1, 2, 3].map(t =>
    [0, 1, 2, 3].slice(0, t + 1).map(j => runs.reduce((s, r) => s + r[t]! * r[j]!, 0)),
  );
  const weights = fitHistory(gram, 1e-6);
  expect(weights.map(row => row.length)).toEqual([0, 1, 2, 3]);
  for (const run of runs) {
    for (const t of [2, 3]) {
      expect(weights[t]!.reduce((sum, w, j) => sum + w * run[j]!, 0)).toBeCloseTo(run[t]!, 3);
    }
  }
  // The other end of the way: the start that the authors descend from.
  for (const [step, row] of fitHistory(gram, 1e6).entries()) {
    for (const [j, w] of row.entries()) expect(w).toBeCloseTo(Number(j === step - 1), 4);
  }
});

describeOnBackends('methods that forecast', () => {
  const steps = 10;
  const reused = uniformReuse(steps, 5, { first: 2, last: 1 });
  const policies: readonly CachePolicy[] = [
    forecasting({ name: 'taylor-searched', reused, forecast: taylorForecast(2) }),
    hicache({ reused }),
    spectrum({ reused, degree: 1, ridge: 1e-9 }),
    zeus({ reused }),
    meancache({ reused, form: 'stepwise' }),
    l2p({ reused, weights: linearHistory(steps) }),
    dmd({ reused: uniformReuse(steps, 5) }),
  ];

  test.each(policies.map(policy => [policy.name, policy] as const))(
    '%s runs, says its bytes and leaks nothing',
    async (_name, policy) => {
      const before = tf.memory();
      const run = policy.begin({ steps, sigmas: levels(steps) });
      const branch = run.branch();
      let computed = 0;
      for (let index = 0; index < steps; index++) {
        const evaluation = evaluateFunction(tf.zeros([2, 3]), () =>
          tf.tensor(
            [1, 2, 3, 4, 5, 6].map(v => v - 0.1 * index * v),
            [2, 3],
          ),
        );
        const step = { index, steps, sigma: levels(steps)[index]!, sigmaNext: levels(steps)[index + 1]! };
        const { output, decision } = await branch.evaluate(step, evaluation);
        if (decision === 'compute') computed++;
        expect([...(await output.data())].every(Number.isFinite)).toBe(true);
        tf.dispose([output, evaluation.sample]);
        expect(branch.bytes()).toBe(tf.memory().numBytes - before.numBytes);
      }
      expect(computed).toBe(5);
      branch.dispose();
      run.dispose();
      expect(tf.memory().numTensors).toBe(before.numTensors);
    },
  );

  test.each(policies.map(policy => [policy.name, policy] as const))(
    '%s goes on in the middle',
    async (_name, policy) => {
      const sigmas = levels(steps);
      const next = async (branch: BranchCache, index: number): Promise<number[]> => {
        const made = [1, 2, 3].map(v => v * 0.9 ** index + 0.1 * v * v);
        const evaluation = evaluateFunction(tf.zeros([1, 3]), () => tf.tensor(made, [1, 3]));
        const step = { index, steps, sigma: sigmas[index]!, sigmaNext: sigmas[index + 1]! };
        const { output } = await branch.evaluate(step, evaluation);
        const values = [...(await output.data<'float32'>())];
        tf.dispose([output, evaluation.sample]);
        return values;
      };
      const before = tf.memory().numTensors;
      const [whole, begun] = [1, 2].map(() => policy.begin({ steps, sigmas }).branch());
      for (let i = 0; i < 7; i++) await Promise.all([next(whole!, i), next(begun!, i)]);
      const taken = policy.begin({ steps, sigmas }).branch();
      taken.restore!(begun!.state!());
      begun!.dispose();
      for (let i = 7; i < steps; i++) expect(await next(taken, i)).toEqual(await next(whole!, i));
      whole!.dispose();
      taken.dispose();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  test('DMD has a map of its own for every picture of a batch', async () => {
    const last = async (rows: readonly number[]): Promise<number[]> => {
      const branch = dmd({ reused: uniformReuse(steps, 5) })
        .begin({ steps, sigmas: levels(steps) })
        .branch();
      let values: number[] = [];
      for (let index = 0; index < steps; index++) {
        const made = rows.flatMap(rate => [1, 2].map(v => v * rate ** index));
        const evaluation = evaluateFunction(tf.zeros([rows.length, 2]), () => tf.tensor(made, [rows.length, 2]));
        const step = { index, steps, sigma: levels(steps)[index]!, sigmaNext: levels(steps)[index + 1]! };
        const { output } = await branch.evaluate(step, evaluation);
        values = [...(await output.data<'float32'>())];
        tf.dispose([output, evaluation.sample]);
      }
      branch.dispose();
      return values;
    };
    const [slow, fast] = [await last([0.9]), await last([0.7])];
    const both = await last([0.9, 0.7]);
    for (const [i, value] of [...slow, ...fast].entries()) expect(both[i]).toBeCloseTo(value, 5);
    expect(fast[0]).toBeCloseTo(0.7 ** 9, 4);
  });
});

test('DMD follows the line where outputs lie unevenly, though one further back would fit the spacing', async () => {
  const steps = 12;
  const sigmas = levels(steps);
  // Computed: 0, 2, 5, 6, 8, 10. Every second one counts back to 6, and 2 is no next one after that.
  const reused = [...'#.#..##.#.#.'].map(c => c === '.');
  const last = async (policy: CachePolicy): Promise<number[]> => {
    const branch = policy.begin({ steps, sigmas }).branch();
    let values: number[] = [];
    for (let index = 0; index < steps; index++) {
      const made = [1, 2, 3].map(v => v * 0.8 ** index + 0.3 * v * v * index);
      const evaluation = evaluateFunction(tf.zeros([1, 3]), () => tf.tensor(made, [1, 3]));
      const step = { index, steps, sigma: sigmas[index]!, sigmaNext: sigmas[index + 1]! };
      const { output } = await branch.evaluate(step, evaluation);
      values = [...(await output.data<'float32'>())];
      tf.dispose([output, evaluation.sample]);
    }
    branch.dispose();
    return values;
  };
  const line = await last(forecasting({ name: 'line', reused, forecast: taylorForecast(1) }));
  for (const [i, value] of (await last(dmd({ reused }))).entries()) expect(value).toBeCloseTo(line[i]!, 3);
});

describe('the settings that are tried', () => {
  const budgets = [
    { steps: 30, computed: 15 },
    { steps: 30, computed: 6 },
    { steps: 8, computed: 2 },
  ];
  const ratios = Array.from({ length: 30 }, (_, i) => 1 - 0.002 * i);
  const all: [string, (b: { steps: number; computed: number }) => readonly Variant[]][] = [
    ['uniform', uniformVariants],
    ['hicache', hicacheVariants],
    ['spectrum', spectrumVariants],
    ['zeus', zeusVariants],
    ['dmd', dmdVariants],
    ['meancache', meancacheVariants],
    [
      'l2p',
      b =>
        l2pVariants(
          b,
          [1, 2].map(ridge => ({ ridge, weights: linearHistory(b.steps) })),
        ),
    ],
    ['taylorseer', b => taylorseerVariants(b, true)],
    ['magcache', b => magcacheVariants(b, ratios)],
  ];

  test.each(all)('%s: each computes the budget, and none is named twice', async (_name, variants) => {
    for (const budget of budgets) {
      const found = variants(budget);
      if (_name !== 'magcache') expect(found.length).toBeGreaterThan(0);
      expect(found.length).toBeLessThan(100);
      expect(new Set(found.map(v => v.setting)).size).toBe(found.length);
    }
  });

  test('evenly spread schedules keep both ends, and the plain one is the first', () => {
    for (const { steps, computed } of budgets) {
      const found = spreads(steps, computed);
      expect(found[0]!.reused).toEqual(uniformReuse(steps, computed));
      for (const { reused } of found) {
        expect(reused).toHaveLength(steps);
        expect(reused.filter(r => !r)).toHaveLength(computed);
        expect(reused[0]).toBe(false);
      }
    }
    expect(
      uniformReuse(10, 5, { first: 2, last: 2 })
        .map(r => (r ? '.' : '#'))
        .join(''),
    ).toBe('##..#...##');
  });
});

describe('settings that cannot be right', () => {
  const reused = [false, true];
  test.each<[string, () => unknown]>([
    ['a first step that is reused', () => forecasting({ name: 'x', reused: [true], forecast: taylorForecast(1) })],
    ['HiCache of order 0', () => hicache({ reused, order: 0 })],
    ['HiCache without contraction', () => hicache({ reused, contraction: 1 })],
    ['Spectrum without a ridge', () => spectrum({ reused, ridge: 0 })],
    ['MeanCache with half a window', () => meancache({ reused, window: 1.5 })],
    ['L2P for other steps', () => l2p({ reused, weights: [[]] })],
    ['DMD from three outputs', () => dmd({ reused, history: 3 })],
    ['a run of other steps', () => zeus({ reused }).begin({ steps: 3, sigmas: levels(3) })],
  ])('%s', (_name, make) => expect(make).toThrow(PolicyError));
});
