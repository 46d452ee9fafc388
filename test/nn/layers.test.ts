import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { gelu, geluTanh, quickGelu, silu } from '../../src/nn/activation';
import { siluMlp, sinusoidal } from '../../src/nn/embeddings';
import { linear } from '../../src/nn/linear';
import { affineLayerNorm, chunks, layerNorm, modulate, rmsNorm } from '../../src/nn/norm';
import type { Params } from '../../src/nn/params';
import { release, share, tidy } from '../../src/nn/scope';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';

/** Parameters by their full names. */
function params(tensors: Record<string, tf.Tensor>, prefix = ''): Params {
  return {
    tensor: name => tensors[prefix + name]!,
    has: name => prefix + name in tensors,
    at: name => params(tensors, `${prefix}${name}.`),
  };
}

const noise = (shape: number[], seed: number): tf.Tensor => tf.randomUniform(shape, -1, 1, 'float32', seed);

/** The values of `work`'s tensor; everything made on the way is disposed. */
function valuesOf(work: () => tf.Tensor): Float32Array {
  const out = tf.tidy(work);
  const values = out.dataSync<'float32'>();
  out.dispose();
  return values;
}

const rowsOf = (values: ArrayLike<number>, width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, r) =>
    Array.from({ length: width }, (_, c) => values[r * width + c]!),
  );
const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Sums of a few dozen products of numbers near 1, in float32. */
const FLOAT_SUM = 2e-6;
/** Activations of numbers up to 8: a few bits of 8, whose last bit is 5e-7. */
const FLOAT_ACTIVATION = 3e-6;

/** Rows of numbers that no layer may choke on: of any size, some all equal, some far from zero. */
const rowsArbitrary = fc.array(fc.array(fc.double({ min: -8, max: 8, noNaN: true }), { minLength: 6, maxLength: 6 }), {
  minLength: 1,
  maxLength: 4,
});

describeOnBackends('linear layers', () => {
  test('multiply the last axis of a tensor of any rank, add the bias, and keep the other axes', () => {
    const [weight, bias] = [noise([5, 3], 1), noise([3], 2)];
    const [ws, bs] = [rowsOf(weight.dataSync(), 3), [...bias.dataSync()]];
    for (const shape of [[5], [4, 5], [2, 3, 5], [2, 1, 3, 5]]) {
      const x = noise(shape, 3);
      const expected = rowsOf(x.dataSync(), 5).flatMap(row =>
        bs.map((b, o) => b + row.reduce((sum, value, i) => sum + value * ws[i]![o]!, 0)),
      );
      const out = linear(params({ weight, bias }), x);
      expect(out.shape).toEqual([...shape.slice(0, -1), 3]);
      expect(maxAbsDifference(out.dataSync(), expected)).toBeLessThan(FLOAT_SUM);
      const without = valuesOf(() => tf.add(linear(params({ weight }), x), bias));
      expect(maxAbsDifference(without, expected)).toBeLessThan(FLOAT_SUM);
      tf.dispose([x, out]);
    }
    tf.dispose([weight, bias]);
  });

  test('lift a vector through two of them with SiLU between', () => {
    const tensors = {
      'linear_1.weight': noise([4, 6], 1),
      'linear_1.bias': noise([6], 2),
      'linear_2.weight': noise([6, 2], 3),
      'linear_2.bias': noise([2], 4),
    };
    const x = noise([3, 4], 5);
    const p = params(tensors);
    const expected = valuesOf(() => {
      const inner = tf.add(
        tf.matMul(x as tf.Tensor2D, tensors['linear_1.weight'] as tf.Tensor2D),
        tensors['linear_1.bias'],
      );
      const gated = tf.mul(inner, tf.sigmoid(inner)) as tf.Tensor2D;
      return tf.add(tf.matMul(gated, tensors['linear_2.weight'] as tf.Tensor2D), tensors['linear_2.bias']);
    });
    expect(
      maxAbsDifference(
        valuesOf(() => siluMlp(p, x)),
        expected,
      ),
    ).toBeLessThan(FLOAT_SUM);
    tf.dispose([...Object.values(tensors), x]);
  });
});

describeOnBackends('norms', () => {
  test('layer norm leaves every row with mean 0 and variance 1, as its formula says', () => {
    fc.assert(
      fc.property(rowsArbitrary, rows => {
        const eps = 1e-3;
        const given = rows.map(row => row.map(Math.fround));
        const out = rowsOf(
          valuesOf(() => layerNorm(tf.tensor2d(given), eps)),
          6,
        );
        for (const [r, row] of given.entries()) {
          const mean = meanOf(row);
          const variance = meanOf(row.map(x => (x - mean) ** 2));
          const expected = row.map(x => (x - mean) / Math.sqrt(variance + eps));
          // The mean of numbers up to 8 is off by an ulp of 8, and is divided by √eps at worst.
          expect(maxAbsDifference(out[r]!, expected)).toBeLessThan(5e-7 / Math.sqrt(eps) + 1e-5);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('a row of equal values becomes zeros, not NaN, also without an epsilon to speak of', () => {
    expect([...valuesOf(() => layerNorm(tf.fill([2, 4], 3), 1e-6))]).toEqual(Array(8).fill(0));
    expect([...valuesOf(() => rmsNorm(params({ weight: tf.ones([4]) }), tf.zeros([2, 4]), 1e-6))]).toEqual(
      Array(8).fill(0),
    );
  });

  test('layer norm with weights scales and shifts, and does without a bias', () => {
    const [x, weight, bias] = [noise([2, 3, 4], 1), noise([4], 2), noise([4], 3)];
    const normed = rowsOf(
      valuesOf(() => layerNorm(x, 1e-5)),
      4,
    );
    const [ws, bs] = [weight.dataSync(), bias.dataSync()];
    const scaled = normed.flatMap(row => row.map((value, c) => value * ws[c]!));
    const shifted = scaled.map((value, i) => value + bs[i % 4]!);
    const affine = (tensors: Record<string, tf.Tensor>) => valuesOf(() => affineLayerNorm(params(tensors), x, 1e-5));
    expect(maxAbsDifference(affine({ weight }), scaled)).toBeLessThan(FLOAT_SUM);
    expect(maxAbsDifference(affine({ weight, bias }), shifted)).toBeLessThan(FLOAT_SUM);
    tf.dispose([x, weight, bias]);
  });

  test('root-mean-square norm divides by the root of the mean square, and subtracts no mean', () => {
    fc.assert(
      fc.property(rowsArbitrary, rows => {
        const weight = [0.5, 1, -2, 3, 0, 1.5];
        const given = rows.map(row => row.map(Math.fround));
        const out = rowsOf(
          valuesOf(() => rmsNorm(params({ weight: tf.tensor1d(weight) }), tf.tensor2d(given), 1e-6)),
          6,
        );
        for (const [r, row] of given.entries()) {
          const root = Math.sqrt(meanOf(row.map(x => x * x)) + 1e-6);
          const expected = row.map((x, c) => (x / root) * weight[c]!);
          // Normalised values are at most √6, times a weight of at most 3.
          expect(maxAbsDifference(out[r]!, expected)).toBeLessThan(1e-5);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('modulation multiplies by one more than the scale, row by row of the batch', () => {
    const x = tf.tensor([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]);
    const [scale, shift] = [tf.tensor([0, 1, -1, 0.5], [2, 1, 2]), tf.tensor([10, 20, 30, 40], [2, 1, 2])];
    expect([...valuesOf(() => modulate(x, shift, scale))]).toEqual([11, 24, 13, 28, 30, 49, 30, 52]);
    tf.dispose([x, scale, shift]);
  });

  test('a modulation vector splits into equal parts that broadcast over tokens', () => {
    const parts = tf.tidy(() =>
      chunks(
        tf.tensor2d([
          [1, 2, 3, 4, 5, 6],
          [7, 8, 9, 10, 11, 12],
        ]),
        3,
      ),
    );
    expect(parts.map(p => p.shape)).toEqual([
      [2, 1, 2],
      [2, 1, 2],
      [2, 1, 2],
    ]);
    expect(parts.map(p => [...p.dataSync()])).toEqual([
      [1, 2, 7, 8],
      [3, 4, 9, 10],
      [5, 6, 11, 12],
    ]);
    tf.dispose(parts);
  });
});

/** The error function by its series, in double precision; exact to 1e-15 for |x| ≤ 6. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

describeOnBackends('activations', () => {
  const forms: [string, (x: tf.Tensor) => tf.Tensor, (x: number) => number][] = [
    ['SiLU', silu, x => x / (1 + Math.exp(-x))],
    [
      'GELU in its tanh form',
      geluTanh,
      x => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    ],
    ['exact GELU', gelu, x => 0.5 * x * (1 + erf(x / Math.SQRT2))],
    ["CLIP's GELU", quickGelu, x => x / (1 + Math.exp(-1.702 * x))],
  ];

  test.each(forms)('%s is its closed form from -5 to 5', (_, form, exact) => {
    const xs = Float32Array.from({ length: 201 }, (_, i) => (i - 100) / 20);
    const out = valuesOf(() => form(tf.tensor1d(xs)));
    expect(maxAbsDifference(out, Array.from(xs, exact))).toBeLessThan(FLOAT_ACTIVATION);
  });

  test.each(forms)('%s neither overflows nor turns into NaN far out', (_, form) => {
    expect([...valuesOf(() => form(tf.tensor1d([-1000, 0, 1000])))].map(Math.abs)).toEqual([0, 0, 1000]);
  });
});

describeOnBackends('time embeddings', () => {
  test('are cosines first, then sines, of falling frequencies', () => {
    const times = [0, 1, 250.5, 1000];
    const out = rowsOf(
      valuesOf(() => sinusoidal(tf.tensor1d(times), 8)),
      8,
    );
    for (const [r, t] of times.entries()) {
      const angles = [0, 1, 2, 3].map(i => t * 10_000 ** (-i / 4));
      const expected = [...angles.map(Math.cos), ...angles.map(Math.sin)];
      // An angle of 1000 has its last bit at 6e-5 in float32, as it has in the reference.
      expect(maxAbsDifference(out[r]!, expected)).toBeLessThan(1e-4);
    }
  });
});

describeOnBackends('scopes', () => {
  test('a shared record lives on when the first one is released', () => {
    const before = tf.memory().numTensors;
    const first = { a: tf.tensor1d([1, 2]), note: 'kept' };
    const second = share(first);
    release(first);
    expect([...second.a.dataSync()]).toEqual([1, 2]);
    expect(second.note).toBe('kept');
    release(second);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('tidy keeps what an object holds and drops the rest; release finds tensors at any depth', () => {
    const before = tf.memory().numTensors;
    const kept = tidy(() => {
      tf.ones([3]);
      return { deep: { list: [tf.ones([2]), tf.zeros([2])] } };
    });
    expect(tf.memory().numTensors).toBe(before + 2);
    release(kept);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('tidy drops everything when its work fails', () => {
    const before = tf.memory().numTensors;
    expect(() =>
      tidy(() => {
        tf.ones([3]);
        throw new Error('on purpose');
      }),
    ).toThrow('on purpose');
    expect(tf.memory().numTensors).toBe(before);
  });
});
