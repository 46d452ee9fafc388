import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { prepareJobs } from '../../src/calibration/jobs';
import { measureRatios } from '../../src/calibration/magcache-ratios';
import { calibrateBaseline } from '../../src/cli/baseline-facts';
import { scratchFolder } from '../media/pictures';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const scratch = scratchFolder();
const pairs = ['red heart', 'lion', 'key'].map((prompt, i) => ({ prompt, seed: i + 1 }));

describeOnBackends("MagCache's ratios", () => {
  test('are the mean over all rows, however many of them run at a time', async () => {
    const pipeline = toyPipeline();
    const before = tf.memory().numTensors;
    const log = jest.spyOn(console, 'log').mockImplementation(() => {});
    const of = async (batch: number): Promise<number[]> => {
      const out = scratch.path('facts.json');
      const run = { pairs, steps: 5, guidance: 2, batch, signal: new AbortController().signal };
      await calibrateBaseline(pipeline, 'magcache', run, out);
      return JSON.parse(readFileSync(out, 'utf8')).ratios;
    };
    // Two rows and one: each row counts as much as another.
    const [uneven, whole] = [await of(2), await of(3)];
    log.mockRestore();
    const alone: number[][] = [];
    const jobs = await prepareJobs(pipeline, pairs, { steps: 5, guidance: 2, batch: 1 });
    for (const job of jobs) alone.push(await measureRatios([job]));
    for (const job of jobs) job.release();

    expect(uneven).toHaveLength(5);
    for (const step of [1, 2, 3, 4]) {
      const each = alone.map(ratios => ratios[step] as number);
      // Rows differ by much more than what is asked for here, so that another weighting would show.
      expect(Math.max(...each) - Math.min(...each)).toBeGreaterThan(1e-3);
      const mean = each.reduce((a, b) => a + b, 0) / 3;
      expect(uneven[step]).toBeCloseTo(mean, 5);
      expect(whole[step]).toBeCloseTo(mean, 5);
    }
    expect(tf.memory().numTensors).toBe(before);
    pipeline.dispose();
  });
});
