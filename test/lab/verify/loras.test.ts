import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { verifyCase } from '../../../src/lab/verify/verify';
import { describeOnBackends } from '../../support/backends';

const folder = join(__dirname, '../../fixtures/lora');
const cases = readdirSync(folder).filter(name => existsSync(join(folder, name, 'case.json')));

describeOnBackends('LoRA cases', kind => {
  test.each(cases)('%s: every merged weight and every output, and nothing leaks', async name => {
    const before = tf.memory().numTensors;
    const report = await verifyCase(join(folder, name));
    expect(tf.memory().numTensors).toBe(before);
    expect(report.unchecked).toEqual([]);
    expect(report.comparisons.filter(comparison => !comparison.passed)).toEqual([]);
    expect(report.passed).toBe(true);
  });

  if (kind === 'native') {
    test.each(cases)('%s in bfloat16', async name => {
      const report = await verifyCase(join(folder, name), { dtype: 'bfloat16' });
      expect(report.comparisons.filter(comparison => !comparison.passed)).toEqual([]);
      expect(report.passed).toBe(true);
    });
  }
});
