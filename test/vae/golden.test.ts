import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { verifyCase } from '../../src/lab/verify/verify';
import { describeOnBackends } from '../support/backends';

const folder = resolve(__dirname, '../fixtures/vaes');

describeOnBackends('autoencoders', () => {
  test.each(readdirSync(folder))('%s: every output of the reference, and nothing leaks', async name => {
    const before = tf.memory().numTensors;
    const report = await verifyCase(join(folder, name));
    expect(report.comparisons.filter(c => !c.passed)).toEqual([]);
    expect(report.unchecked).toEqual([]);
    expect(report.checked).toBe(report.expected);
    expect(tf.memory().numTensors).toBe(before);
  });
});
