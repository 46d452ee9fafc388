import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../../src/engine/select';
import { describeOnBackends, usableBackends } from '../support/backends';
import { defineOpTests } from './ops';

describeOnBackends('operations', backend => {
  test('the backend is current', () => {
    expect(tf.getBackend()).toBe(backend === 'native' ? 'tensorflow' : backend);
  });
  defineOpTests();
});

test('a process can go back and forth between backends', async () => {
  const results: number[] = [];
  for (const backend of [...usableBackends(), ...usableBackends()]) {
    await selectBackend(backend);
    const sum = tf.tidy(() => tf.sum(tf.matMul(tf.ones([8, 8]), tf.ones([8, 8]))).dataSync());
    results.push(sum[0] as number);
  }
  expect(new Set(results)).toEqual(new Set([512]));
});
