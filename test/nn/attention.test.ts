import * as tf from '@tensorflow/tfjs-core';
import { attention } from '../../src/nn/attention';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';

type Shape = [number, number, number, number];

const noise = (shape: Shape, seed: number): tf.Tensor => tf.randomUniform(shape, -1, 1, 'float32', seed);

/** Attention by its definition, one query and one head at a time. */
function byDefinition(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, bias?: tf.Tensor): number[] {
  const [batch, queries, heads, width] = q.shape as Shape;
  const [keys, valueWidth] = [k.shape[1]!, v.shape[3]!];
  const [qs, ks, vs, bs] = [q, k, v, bias].map(t => t?.dataSync());
  const out: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let i = 0; i < queries; i++) {
      for (let h = 0; h < heads; h++) {
        const scores = Array.from({ length: keys }, (_, j) => {
          let dot = 0;
          for (let c = 0; c < width; c++) {
            dot += qs![((b * queries + i) * heads + h) * width + c]! * ks![((b * keys + j) * heads + h) * width + c]!;
          }
          return Math.exp(dot / Math.sqrt(width) + (bs ? bs[((b * heads + h) * queries + i) * keys + j]! : 0));
        });
        const total = scores.reduce((a, s) => a + s, 0);
        for (let c = 0; c < valueWidth; c++) {
          out.push(scores.reduce((a, s, j) => a + s * vs![((b * keys + j) * heads + h) * valueWidth + c]!, 0) / total);
        }
      }
    }
  }
  return out;
}

describeOnBackends('attention', () => {
  test.each([
    ['few tokens in many rows', [6, 5, 2, 8], [6, 3, 2, 8], [6, 3, 2, 4]],
    ['many tokens', [2, 70, 2, 16], [2, 90, 2, 16], [2, 90, 2, 12]],
    ['one query', [1, 1, 3, 8], [1, 600, 3, 8], [1, 600, 3, 8]],
  ] as [string, Shape, Shape, Shape][])('%s: as defined, with and without a bias', (_, queries, keys, values) => {
    const [q, k, v] = [noise(queries, 1), noise(keys, 2), noise(values, 3)];
    const bias = noise([queries[0], queries[2], queries[1], keys[1]], 4);
    const before = tf.memory().numTensors;
    for (const given of [undefined, bias]) {
      const out = tf.tidy(() => attention(q, k, v, { bias: given }));
      expect(out.shape).toEqual([queries[0], queries[1], queries[2] * values[3]]);
      expect(maxAbsDifference(out.dataSync(), byDefinition(q, k, v, given))).toBeLessThan(2e-6);
      out.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([q, k, v, bias]);
  });
});
