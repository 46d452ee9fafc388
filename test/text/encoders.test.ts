import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { loadCase } from '../../src/lab/verify/load-case';
import { runTextEncoder } from '../../src/lab/verify/text-encoders';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';

const FIXTURES = join(__dirname, '..', 'fixtures', 'text-encoders');

describeOnBackends('text encoders', backend => {
  test.each(readdirSync(FIXTURES))('%s: every output of the reference, and nothing leaks', async name => {
    const golden = await loadCase(join(FIXTURES, name));
    const ratios = new Map<string, number>();
    const before = tf.memory().numTensors;
    await runTextEncoder(golden, (output, value) => {
      const wanted = golden.expected.get(output);
      if (!wanted) return;
      const values = value instanceof tf.Tensor ? value.dataSync() : value;
      ratios.set(output, maxAbsDifference(values, wanted.data) / golden.tolerance(output));
    });
    expect(tf.memory().numTensors).toBe(before);
    if (process.env.SHOW_RATIOS) console.log(backend, name, Math.max(...ratios.values()));
    expect([...golden.expected.keys()].filter(output => !((ratios.get(output) ?? 9) <= 1))).toEqual([]);
  });
});
