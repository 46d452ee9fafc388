import * as tf from '@tensorflow/tfjs-core';
import { evaluateFunction } from '../../src/cache/evaluation';
import { gridOf, seacache, seaFilter } from '../../src/cache/seacache';
import { PolicyError, UnsupportedError } from '../../src/errors';
import { sampleLoop } from '../../src/sampling/sample-loop';
import { describeOnBackends } from '../support/backends';
import { goldenModel } from './golden-job';

describe('the grid of tokens', () => {
  test.each([
    [[1, 16, 12], 16, [4, 4]],
    [[1, 4, 6, 8], 48, [6, 8]],
    [[1, 4, 6, 8], 12, [3, 4]],
    [[1, 4, 3, 6, 8], 36, [3, 3, 4]],
  ])('of a latent [%p] with %i tokens is %p', (sample, tokens, grid) => {
    expect(gridOf(sample, tokens)).toEqual(grid);
  });

  test('is a single row where none is known', () => {
    expect(gridOf([1, 15, 12], 15)).toEqual([15]);
  });
});

/** One axis, filtered as it is defined: by a discrete Fourier transform. */
function filteredByDefinition(values: readonly number[], sigma: number): number[] {
  const n = values.length;
  const gains = values.map((_, k) => {
    const f = Math.min(k, n - k) / n;
    const s = 1 / (f ** 2 + 1e-16);
    return ((1 - sigma) * s) / ((1 - sigma) ** 2 * s + sigma ** 2);
  });
  return values.map((_, x) => {
    let sum = 0;
    for (let k = 0; k < n; k++) {
      for (let y = 0; y < n; y++) sum += (gains[k]! * values[y]! * Math.cos((2 * Math.PI * k * (x - y)) / n)) / n;
    }
    return sum;
  });
}

describeOnBackends('the filter', () => {
  test('is the separable Wiener filter of its definition, with a mean gain of 1', async () => {
    const values = [3, 1, -2, 5, 0, 4];
    const [rows, columns] = [2, 3];
    const tokens = tf.tensor(values, [1, rows * columns, 1]);
    const filtered = seaFilter(tokens, [rows, columns], 0.6);
    const along = [0, 1].map(r => filteredByDefinition(values.slice(3 * r, 3 * r + 3), 0.6));
    const both = [0, 1, 2].map(c => filteredByDefinition([along[0]![c]!, along[1]![c]!], 0.6));
    const ratio = (await filtered.data())[0]! / both[0]![0]!;
    const got = [...(await filtered.data<'float32'>())];
    for (const [i, value] of got.entries()) expect(value).toBeCloseTo(ratio * both[i % 3]![Math.floor(i / 3)]!, 4);
    // Noise that is nearly all of the picture is damped; without noise nothing but scale is left of the filter.
    const clean = seaFilter(tokens, [rows, columns], 0);
    const kept = [...(await clean.data<'float32'>())];
    for (const [i, value] of kept.entries()) expect(value).toBeCloseTo(values[i]!, 3);
    tf.dispose([tokens, filtered, clean]);
  });
});

describeOnBackends('SeaCache', () => {
  test('computes the first and the last step, all at 0, and fewer the higher the threshold', async () => {
    const before = tf.memory().numTensors;
    const golden = goldenModel();
    const job = golden.job({ seeds: [1], steps: 8 });
    const schedule = async (threshold: number): Promise<string> => {
      const run = { ...job, solver: job.solver() };
      const { latents, steps } = await sampleLoop(run, seacache({ threshold }));
      latents.dispose();
      return steps.map(s => (s.decisions[0] === 'compute' ? '#' : '.')).join('');
    };
    expect(await schedule(0)).toBe('########');
    expect(await schedule(1000)).toBe('#......#');
    expect(await schedule(0.2)).toMatch(/^#.*#$/);
    job.release();
    golden.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('refuses a threshold below 0 and a model that is a function', async () => {
    expect(() => seacache({ threshold: -1 })).toThrow(PolicyError);
    const evaluation = evaluateFunction(tf.zeros([1, 4, 2]), x => x.clone());
    const step = { index: 0, steps: 2, sigma: 1, sigmaNext: 0.5 };
    const branch = seacache({ threshold: 1 })
      .begin({ steps: 2, sigmas: [1, 0.5, 0] })
      .branch();
    await expect(branch.evaluate(step, evaluation)).rejects.toThrow(UnsupportedError);
    evaluation.sample.dispose();
  });
});
