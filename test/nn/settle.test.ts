import * as tf from '@tensorflow/tfjs-core';
import { settle, settleQueued } from '../../src/nn/settle';
import { describeOnBackends } from '../support/backends';

describeOnBackends('waiting for a tensor', () => {
  test.each([
    ['in any case', settle],
    ['where there is a queue', settleQueued],
  ])('%s leaves it as it is, and nothing besides', async (_, wait) => {
    const tensor = tf.tensor2d([
      [1, 2],
      [3, 4],
    ]);
    const before = tf.memory().numTensors;
    await wait(tensor);
    expect(tf.memory().numTensors).toBe(before);
    expect(await tensor.data()).toEqual(new Float32Array([1, 2, 3, 4]));
    tensor.dispose();
  });
}, ['native', 'webgpu', 'wasm', 'cpu']);
