import * as tf from '@tensorflow/tfjs-core';
import { runScheduler } from '../../src/lab/verify/schedulers';
import { goldenCases, outcome } from '../models/golden';
import { describeOnBackends } from '../support/backends';

const cases = goldenCases('schedulers');

describeOnBackends('schedulers', backend => {
  test.each(cases)('$name: every step of the reference, and nothing leaks', async golden => {
    const before = tf.memory().numTensors;
    const { missing, ratios } = await outcome(golden, runScheduler);
    expect(tf.memory().numTensors).toBe(before);
    if (process.env.SHOW_RATIOS) console.log(backend, golden.name, missing, ratios);
    expect(missing).toEqual([]);
    expect(ratios.filter(r => !(r.ratio <= 1))).toEqual([]);
  });
});
