import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { verifyCase } from '../../../src/lab/verify/verify';
import { describeOnBackends } from '../../support/backends';

const fixtures = resolve(__dirname, '../../fixtures');
const cases = ['metrics', 'random'].flatMap(group => readdirSync(join(fixtures, group)).map(name => join(group, name)));

describeOnBackends('golden cases', () => {
  test.each(cases)('%s: every output is checked and within its tolerance', async name => {
    const before = tf.memory().numTensors;
    const report = await verifyCase(join(fixtures, name));
    expect(report.comparisons.filter(c => !c.passed)).toEqual([]);
    expect(report.unchecked).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
