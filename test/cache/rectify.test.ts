import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { applyAffine, combine, lsqTerms } from '../../src/cache/rectify';
import { affineFit } from '../../src/calibration/least-squares';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';

/** A few float32 operations on numbers below 10. */
const FLOAT = 3e-6;

const valuesOf = (work: () => tf.Tensor): Float32Array => {
  const out = tf.tidy(work);
  const values = out.dataSync<'float32'>();
  out.dispose();
  return values;
};

describeOnBackends('the affine rectification', () => {
  const rebuilt = [-2, -0.5, 0, 1, 3];

  test('takes away (K ṽ + B)/4 + ½ in its linear form', () => {
    const values = valuesOf(() => applyAffine(tf.tensor1d(rebuilt), { K: [0.8], B: [-1.5] }, 'linear', 0));
    expect(
      maxAbsDifference(
        values,
        rebuilt.map(v => v - ((0.8 * v - 1.5) / 4 + 0.5)),
      ),
    ).toBeLessThan(FLOAT);
  });

  test('takes away σ(K ṽ + B) in its sigmoid form', () => {
    const values = valuesOf(() => applyAffine(tf.tensor1d(rebuilt), { K: [0.8], B: [-1.5] }, 'sigmoid', 0));
    expect(
      maxAbsDifference(
        values,
        rebuilt.map(v => v - 1 / (1 + Math.exp(-(0.8 * v - 1.5)))),
      ),
    ).toBeLessThan(FLOAT);
  });

  test('changes nothing where K is 0 and B is -2: the error it models is zero', () => {
    expect([...valuesOf(() => applyAffine(tf.tensor1d(rebuilt), { K: [0], B: [-2] }, 'linear', 0))]).toEqual(rebuilt);
  });

  test.each([0, 1, 2])('lays coefficients per channel along axis %d', axis => {
    const shape = [2, 3, 4];
    const x = Float32Array.from({ length: 24 }, (_, i) => i / 10);
    const inner = [12, 4, 1][axis]!;
    const channels = shape[axis]!;
    const K = Array.from({ length: channels }, (_, c) => c / 3);
    const B = Array.from({ length: channels }, (_, c) => -2 + c / 5);
    for (const form of ['linear', 'sigmoid'] as const) {
      const expected = Array.from(x, (v, n) => {
        const c = Math.floor(n / inner) % channels;
        const z = K[c]! * v + B[c]!;
        return v - (form === 'linear' ? z / 4 + 0.5 : 1 / (1 + Math.exp(-z)));
      });
      const values = valuesOf(() => applyAffine(tf.tensor(x, shape), { K, B }, form, axis));
      expect(maxAbsDifference(values, expected)).toBeLessThan(FLOAT);
    }
  });

  test('undoes an error that is linear in the output, with the coefficients that the fit finds', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -0.9, max: 0.9, noNaN: true }),
        fc.double({ min: -2, max: 2, noNaN: true }),
        fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: 3, maxLength: 20 }),
        (slope, offset, outputs) => {
          fc.pre(Math.max(...outputs) - Math.min(...outputs) > 0.1);
          const fit = affineFit(1);
          for (const v of outputs) fit.add(0, v, slope * v + offset);
          const values = valuesOf(() => applyAffine(tf.tensor1d(outputs), fit.solve(), 'linear', 0));
          const truth = outputs.map(v => v - (slope * v + offset));
          // K and B are stored in float32: a relative 6e-8 of coefficients up to 16, quartered.
          expect(maxAbsDifference(values, truth)).toBeLessThan(1e-5);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describeOnBackends('the least-squares combination', () => {
  const of = (...values: number[]): tf.Tensor => tf.tensor1d(values);

  test('names the parts of every output by age, the rebuilt one 0, and the latent', () => {
    const history = [{ sigma: 1, value: { conditional: of(3), unconditional: of(4) } }];
    const terms = lsqTerms({ conditional: of(1), unconditional: of(2) }, of(5), history);
    const values = Object.fromEntries(Object.entries(terms).map(([name, t]) => [name, t.dataSync()[0]]));
    expect(values).toEqual({
      'conditional.0': 1,
      'unconditional.0': 2,
      'conditional.1': 3,
      'unconditional.1': 4,
      sample: 5,
    });
    tf.dispose(Object.values(terms));
  });

  test('sums weights times terms, and a constant', () => {
    const terms = { 'output.0': of(1, 2), 'output.1': of(10, 20), sample: of(100, 200) };
    const before = tf.memory().numTensors;
    const weights = { 'output.0': 2, 'output.1': -0.5, sample: 0.25, one: 7 };
    expect([...valuesOf(() => combine(weights, terms))]).toEqual([2 - 5 + 25 + 7, 4 - 10 + 50 + 7]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(Object.values(terms));
  });

  test('leaves out terms that this step does not have, such as older outputs at its beginning', () => {
    const terms = { 'output.0': of(1, 2), sample: of(100, 200) };
    expect([...valuesOf(() => combine({ 'output.0': 3, 'output.2': 9 }, terms))]).toEqual([3, 6]);
    tf.dispose(Object.values(terms));
  });

  test('of no terms at all is the constant, or zeros', () => {
    const terms = { sample: of(100, 200) };
    expect([...valuesOf(() => combine({ one: 4 }, terms))]).toEqual([4, 4]);
    expect([...valuesOf(() => combine({}, terms))]).toEqual([0, 0]);
    tf.dispose(Object.values(terms));
  });
});
