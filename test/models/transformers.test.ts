import * as tf from '@tensorflow/tfjs-core';
import { runTransformer } from '../../src/lab/verify/transformers';
import { describeOnBackends } from '../support/backends';
import { goldenCases, outcome } from './golden';

const cases = goldenCases('transformers');

describeOnBackends('transformers', backend => {
  test.each(cases)('$name: every output of the reference, and nothing leaks', async golden => {
    const before = tf.memory().numTensors;
    const { missing, ratios } = await outcome(golden, runTransformer);
    expect(tf.memory().numTensors).toBe(before);
    if (process.env.SHOW_RATIOS) console.log(backend, golden.name, missing, ratios.slice(0, 4));
    expect(missing).toEqual([]);
    expect(ratios.filter(r => !(r.ratio <= 1))).toEqual([]);
  });
});
