import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { plainReuse, uniformReuse } from '../../src/cache/uniform';
import { chooseVariant, runsAtMost, uncachedTargets } from '../../src/calibration/choose-variant';
import { UsageError } from '../../src/errors';
import { goldenModel } from '../cache/golden-job';
import { describeOnBackends } from '../support/backends';

describeOnBackends('the choice among settings', () => {
  test('takes the one that ends nearest to the uncached runs, counts what it cost, and leaks nothing', async () => {
    const before = tf.memory().numTensors;
    const golden = goldenModel();
    const jobs = [[1, 2, 3, 4], [5, 6], [7, 8], [9, 10], [11]].map(seeds => golden.job({ seeds, steps: 6 }));
    const targets = await uncachedTargets(jobs);
    const variants = [
      ...[1, 2, 3, 4, 5].map(n => ({ setting: `${n}`, policy: plainReuse(uniformReuse(6, n), 'velocity') })),
      { setting: 'all', policy: none() },
    ];
    let passes = 0;
    const onStep = (step: { forwards: number }, sample: tf.Tensor): void => {
      passes += step.forwards * (sample.shape[0] as number);
    };
    const { variant, spent } = await chooseVariant(variants, targets, { onStep });
    expect([variant.setting, spent]).toEqual(['all', passes]);
    // All on eight rows, however they are cut, the best four on three more.
    expect(spent).toBe(8 * (1 + 2 + 3 + 4 + 5 + 6) + 3 * (3 + 4 + 5 + 6));
    expect(runsAtMost(6, 11, 1)).toBe(6 * 8 + 4 * 3);
    expect(runsAtMost(6, 11, 3)).toBe(6 * 9 + 4 * 2);
    expect(runsAtMost(6, 5, 2)).toBe(6 * 5);
    expect(await chooseVariant(variants.slice(0, 1), targets)).toEqual({ variant: variants[0], spent: 0 });
    await expect(chooseVariant([], targets)).rejects.toThrow(UsageError);
    tf.dispose(targets.map(t => t.final));
    for (const job of jobs) job.release();
    golden.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
