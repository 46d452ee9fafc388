import * as tf from '@tensorflow/tfjs-core';
import { guidanceGap, isFamiliar } from '../../src/cache/familiar';
import { describeOnBackends } from '../support/backends';

describeOnBackends('the gap of guidance', () => {
  test('is that of every row, relative to the conditional output, and 0 where all is 0', async () => {
    const conditional = tf.tensor([1, -1, 2, 2, 0, 0], [3, 2]);
    const unconditional = tf.tensor([1, -1, 1, 1, 0, 0], [3, 2]);
    const before = tf.memory().numTensors;
    expect(await guidanceGap({ conditional, unconditional })).toEqual([0, 0.5, 0]);
    expect(await guidanceGap({ output: conditional })).toBeUndefined();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([conditional, unconditional]);
  });
});

test('a little beyond what was seen is familiar still', () => {
  const seen = { step: 1, from: 0.2, to: 0.4 };
  expect([0, 0.17, 0.19, 0.3, 0.43, 0.45].map(gap => isFamiliar(seen, gap))).toEqual([
    false,
    false,
    true,
    true,
    true,
    false,
  ]);
  // An empty prompt's outputs are equal; where that was seen, it is nothing new.
  expect(isFamiliar({ ...seen, from: 0 }, 0)).toBe(true);
});
