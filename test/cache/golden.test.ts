import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { verifyCase } from '../../src/lab/verify/verify';
import { describeOnBackends } from '../support/backends';

const FIXTURES = join(__dirname, '..', 'fixtures', 'caches');

describeOnBackends('caches against their references', () => {
  test.each(readdirSync(FIXTURES))('%s', async name => {
    const before = tf.memory().numTensors;
    const report = await verifyCase(join(FIXTURES, name));
    expect(report.comparisons.filter(c => !c.passed)).toEqual([]);
    expect(report.unchecked).toEqual([]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
