import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { verifyCase } from '../../../src/lab/verify/verify';
import { describeOnBackends } from '../../support/backends';

const folder = join(__dirname, '../../fixtures/checkpoints');

describeOnBackends('checkpoint cases', () => {
  test.each(readdirSync(folder))('%s: every expected value, and nothing leaks', async name => {
    const before = tf.memory().numTensors;
    const report = await verifyCase(join(folder, name));
    expect(tf.memory().numTensors).toBe(before);
    expect(report.unchecked).toEqual([]);
    expect(report.comparisons.filter(comparison => !comparison.passed)).toEqual([]);
    expect(report.passed).toBe(true);
  });
});
