import * as tf from '@tensorflow/tfjs-core';
import { draw } from '../../src/draw/draw';
import { InterruptedError, UsageError } from '../../src/errors';
import { loadModel } from '../../src/pipelines/load';
import { policiesOnDisk } from '../../src/policy/on-disk';
import type { Pipeline } from '../../src/sampling/pipeline';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

/** `bench/repeated-samples.ts --faults` is the long form. */
const MODELS: readonly (readonly [name: string, load: () => Promise<Pipeline>, runs: number])[] = [
  ['a toy', async () => toyPipeline(), 60],
  ['the embedded model', () => loadModel(), 6],
];
/** What the allocator and the garbage collector may differ by. */
const SLACK = 100e6;

describeOnBackends('many runs in one process', () => {
  test.each(MODELS)('%s: whole, stopped, or ended by who watches, they leave nothing behind', async (_, load, runs) => {
    const without = tf.memory().numTensors;
    const model = await load();
    const before = tf.memory().numTensors;
    let size = 0;
    for (let i = 0; i < runs; i++) {
      const request = { prompt: 'red heart', seed: i, steps: 2 };
      const stop = new AbortController();
      const whole = await draw(request, { model, policies: policiesOnDisk });
      expect(whole.steps).toHaveLength(2);
      const stopped = draw(request, { model, signal: stop.signal, onStep: () => stop.abort('enough') });
      await expect(stopped).rejects.toThrow(InterruptedError);
      const onStep = (): never => {
        throw new RangeError('on purpose');
      };
      await expect(draw(request, { model, onStep })).rejects.toThrow(RangeError);
      expect(tf.memory().numTensors).toBe(before);
      if (i === Math.floor(runs / 2)) size = process.memoryUsage.rss();
    }
    expect(process.memoryUsage.rss() - size).toBeLessThan(SLACK);
    model.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(without);
    await expect(draw({ prompt: 'red heart' }, { model })).rejects.toThrow(UsageError);
    expect(tf.memory().numTensors).toBe(without);
  });
});
