import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { verifyCase } from '../../../src/lab/verify/verify';
import { describeOnBackends } from '../../support/backends';

const folder = join(__dirname, '../../fixtures/quantized');
const cases = readdirSync(folder).filter(name => name !== 'bad_gguf');

describeOnBackends('quantised checkpoints', backend => {
  const dtypes = backend === 'native' ? (['float32', 'bfloat16'] as const) : (['float32'] as const);
  test.each(cases.flatMap(name => dtypes.map(dtype => [name, dtype] as const)))(
    '%s in %s: every expected value, and nothing leaks',
    async (name, dtype) => {
      const before = tf.memory().numTensors;
      const report = await verifyCase(join(folder, name), { dtype });
      expect(tf.memory().numTensors).toBe(before);
      expect(report.unchecked).toEqual([]);
      expect(report.comparisons.filter(comparison => !comparison.passed)).toEqual([]);
      expect(report.passed).toBe(true);
    },
  );
});
