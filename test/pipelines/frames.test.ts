import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { none } from '../../src/cache/none';
import { uniform } from '../../src/cache/uniform';
import { frames } from '../../src/media/pixels';
import { loadModel } from '../../src/pipelines/load';
import type { BatchRequest } from '../../src/sampling/pipeline';
import { runRequest } from '../../src/sampling/run-job';
import { requireFinite } from '../../src/sampling/sample-loop';
import { describeOnBackends } from '../support/backends';

const pipeline = (name: string): string => join(resolve(__dirname, '../fixtures/pipelines'), name, 'pipeline');
const request = (count: number): BatchRequest => ({
  prompts: ['a'],
  seeds: [0],
  steps: 1,
  guidance: 1,
  size: { width: 32, height: 16, frames: count },
});

describeOnBackends('frames of a clip', () => {
  test.each([
    ['cogvideox-tiny', [4, 5, 6, 12], ['1 or 8', '1 or 8', '1 or 8', '9 or 16']],
    ['wan-tiny', [2, 4, 6], ['1 or 5', '1 or 5', '5 or 9']],
    ['opensora-tiny', [2, 9, 16], ['1 or 17', '1 or 17', '1 or 17']],
  ])('%s refuses what it cannot draw, and names the next numbers', async (name, counts, near) => {
    const model = await loadModel(pipeline(name));
    const before = tf.memory().numTensors;
    for (const [i, count] of counts.entries()) {
      const message = expect.stringContaining(`${count} were asked for`);
      const refused = { code: 'usage', message, hint: `Take ${near[i]} frames.` };
      await expect(model.prepare(request(count))).rejects.toMatchObject(refused);
      expect(() => model.schedule(request(count))).toThrow(/were asked for/);
    }
    for (const count of [0, -1, 1.5, Number.NaN]) {
      await expect(model.prepare(request(count))).rejects.toThrow(`${count} were asked for`);
    }
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  test('a model of pictures draws no clip', async () => {
    const model = await loadModel(pipeline('flux-tiny'));
    for (const count of [5, 1500]) {
      const refused = { message: `FLUX draws single pictures; ${count} were asked for.`, hint: 'Take 1 frame.' };
      await expect(model.prepare(request(count))).rejects.toMatchObject(refused);
    }
    model.dispose();
  });

  test.each([
    ['cogvideox-tiny', 8],
    ['cogvideox-tiny', 9],
    ['opensora-tiny', 18],
  ])('%s draws %d frames where as many are asked for', async (name, count) => {
    const model = await loadModel(pipeline(name));
    const { media } = await runRequest(model, request(count), none());
    expect(frames(media[0]!)).toHaveLength(count);
    model.dispose();
  });

  test('values that are not finite are not laid on a policy that was not there', async () => {
    const broken = tf.tensor1d([1, Number.NaN]);
    await expect(requireFinite(broken, 'It', none())).rejects.toMatchObject({
      hint: expect.stringContaining('Every step was computed'),
    });
    await expect(requireFinite(broken, 'It', uniform(4, 2))).rejects.toMatchObject({
      hint: expect.stringContaining('--policy none'),
    });
    broken.dispose();
  });
});
