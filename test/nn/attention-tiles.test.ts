import * as tf from '@tensorflow/tfjs-core';
import { type AttentionOptions, attention } from '../../src/nn/attention';
import { describeOnBackends, withoutKernels } from '../support/backends';
import { maxAbsDifference } from '../support/golden';

type Shape = [number, number, number, number];

const noise = (shape: Shape, seed: number): tf.Tensor => tf.randomUniform(shape, -2, 2, 'float32', seed);

/** Another order of the same float32 sums: outputs are averages of values below 2, whose last bit is 1.2e-7. */
const SAME_SUMS = 1e-6;
/** Scores reach 30, where the last bit is 2e-6 and goes through an exponential. */
const SAME_SOFTMAX = 1e-5;

/** 75 queries make two whole tiles of 32 rows and one of 11. */
const QUERIES: Shape = [2, 75, 3, 8];
const KEYS: Shape = [2, 41, 3, 8];
const VALUES: Shape = [2, 41, 3, 5];

const biases: [string, Shape | undefined][] = [
  ['no bias', undefined],
  ['a bias of its own for every score', [2, 3, 75, 41]],
  ['one bias for all queries, as a mask of keys is', [2, 1, 1, 41]],
  ['one bias for all rows of the batch and all heads', [1, 1, 75, 41]],
];

/** Softmax attention as one would write it down, all scores at once. */
function naive(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, { bias, scale }: AttentionOptions): tf.Tensor {
  const [batch, queries, heads, width] = q.shape as Shape;
  const byHead = (t: tf.Tensor): tf.Tensor => tf.transpose(t, [0, 2, 1, 3]);
  const scores = tf.mul(tf.matMul(byHead(q), byHead(k), false, true), scale ?? width ** -0.5);
  const exps = tf.exp(bias ? tf.add(scores, bias) : scores);
  const out = tf.matMul(tf.div(exps, tf.sum(exps, -1, true)), byHead(v));
  return tf.reshape(byHead(out), [batch, queries, heads * (v.shape[3] as number)]);
}

/** The values of attention, and the most bytes of one tensor that it made on the way. */
function largest(work: () => tf.Tensor): { values: Float32Array; bytes: number } {
  const made: number[] = [];
  const { trackTensor } = tf.engine();
  const spy = jest.spyOn(tf.engine(), 'trackTensor').mockImplementation(function (this: unknown, tensor, backend) {
    made.push(tensor.size * 4);
    trackTensor.call(tf.engine(), tensor, backend);
  });
  try {
    const out = tf.tidy(work);
    const values = out.dataSync<'float32'>();
    out.dispose();
    return { values, bytes: Math.max(...made) };
  } finally {
    spy.mockRestore();
  }
}

describeOnBackends('attention in tiles', () => {
  withoutKernels();
  let [q, k, v] = [] as unknown as [tf.Tensor, tf.Tensor, tf.Tensor];
  beforeAll(() => {
    [q, k, v] = [noise(QUERIES, 1), noise(KEYS, 2), noise(VALUES, 3)];
  });

  describe.each([true, false])('heads one by one: %s', byHead => {
    test.each(biases)('with %s, tiles change nothing, and both are the softmax', (_, shape) => {
      const bias = shape && noise(shape, 4);
      const [whole, inTiles, plain] = tf.tidy(() => [
        attention(q, k, v, { bias, byHead }),
        attention(q, k, v, { bias, byHead, maxScores: 1 }),
        naive(q, k, v, { bias }),
      ]) as [tf.Tensor, tf.Tensor, tf.Tensor];
      expect(inTiles.shape).toEqual([2, 75, 15]);
      expect(maxAbsDifference(inTiles.dataSync(), whole.dataSync())).toBeLessThan(SAME_SUMS);
      expect(maxAbsDifference(whole.dataSync(), plain.dataSync())).toBeLessThan(SAME_SOFTMAX);
      tf.dispose([whole, inTiles, plain, bias ?? []]);
    });

    test('a scale of its own replaces 1/√d', () => {
      const [own, plain] = tf.tidy(() => [
        attention(q, k, v, { scale: 0.9, byHead, maxScores: 1 }),
        naive(q, k, v, { scale: 0.9 }),
      ]) as [tf.Tensor, tf.Tensor];
      expect(maxAbsDifference(own.dataSync(), plain.dataSync())).toBeLessThan(SAME_SOFTMAX);
      tf.dispose([own, plain]);
    });

    test('the largest tensor holds the scores of one tile, not those of all queries', () => {
      const heads = byHead ? 1 : 2 * 3;
      const run = (maxScores: number) => largest(() => attention(q, k, v, { byHead, maxScores }));
      expect(run(1e9).bytes).toBe(Math.max(heads * 75 * 41, 2 * 75 * 3 * 8) * 4);
      expect(run(1).bytes).toBe(Math.max(heads * 32 * 41, 2 * 75 * 3 * 8) * 4);
    });
  });

  test('heads one by one and heads together agree', () => {
    const [one, together] = [true, false].map(byHead => tf.tidy(() => attention(q, k, v, { byHead })));
    expect(maxAbsDifference(one!.dataSync(), together!.dataSync())).toBeLessThan(SAME_SUMS);
    tf.dispose([one!, together!]);
  });

  test('a bias of minus infinity hides a key altogether', () => {
    const hide = tf.tensor(
      Float32Array.from({ length: 41 }, (_, i) => (i < 7 ? 0 : Number.NEGATIVE_INFINITY)),
      [1, 1, 1, 41],
    );
    const few = (t: tf.Tensor): tf.Tensor => tf.slice(t, [0, 0, 0, 0], [-1, 7, -1, -1]);
    const [masked, without] = tf.tidy(() => [
      attention(q, k, v, { bias: hide, maxScores: 1 }),
      attention(q, few(k), few(v), { maxScores: 1 }),
    ]) as [tf.Tensor, tf.Tensor];
    expect(maxAbsDifference(masked.dataSync(), without.dataSync())).toBeLessThan(SAME_SUMS);
    tf.dispose([masked, without, hide]);
  });
});
