import * as tf from '@tensorflow/tfjs-core';
import { circular, circularBySums } from '../../src/nn/circular';
import { describeOnBackends } from '../support/backends';

describeOnBackends('cosine and sine', () => {
  const angles = Float32Array.from([
    0,
    Math.PI / 4,
    -Math.PI / 2,
    3.1415925,
    -3.1415925,
    1e-4,
    ...Array.from({ length: 500 }, (_, i) => (i - 100) * 2.497),
  ]);

  test.each([
    ['as the backend has them', circular],
    ['from sums and products', circularBySums],
  ])('%s, up to a thousand radians', async (_, of) => {
    const before = tf.memory().numTensors;
    const input = tf.tensor1d(angles);
    const { cos, sin } = of(input);
    const [c, s] = [await cos.data(), await sin.data()];
    for (const [i, angle] of angles.entries()) {
      expect(Math.abs((c[i] as number) - Math.cos(angle))).toBeLessThan(1e-6);
      expect(Math.abs((s[i] as number) - Math.sin(angle))).toBeLessThan(1e-6);
    }
    tf.dispose([input, cos, sin]);
    expect(tf.memory().numTensors).toBe(before);
  });
}, ['native', 'webgpu', 'wasm', 'cpu']);
