import * as tf from '@tensorflow/tfjs-core';
import { draw } from '../../src/draw/draw';
import { dense, type Media } from '../../src/media/pixels';
import { previewSteps } from '../../src/sampling/previews';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

test('previews part the run evenly, and are none of its end', () => {
  expect(previewSteps(30, 3)).toEqual([6, 14, 21]);
  expect(previewSteps(30, 1)).toEqual([14]);
  expect(previewSteps(30, 0)).toEqual([]);
  expect(previewSteps(4, 3)).toEqual([0, 1, 2]);
  expect(previewSteps(2, 3)).toEqual([0]);
  expect(previewSteps(1, 3)).toEqual([]);
});

describeOnBackends('previews', () => {
  test('come nearer to the picture, are as large as it, and change nothing of it', async () => {
    const model = toyPipeline();
    const request = { prompt: 'red heart', seed: 3, steps: 9, scale: 2, policy: 'none' };
    const plain = await draw(request, { model });
    const before = tf.memory().numTensors;
    const shown: Media[] = [];
    const drawn = await draw(request, {
      model,
      previews: {
        count: 3,
        show(media, index) {
          expect(index).toBe(shown.length);
          shown.push(media);
        },
      },
    });
    expect(tf.memory().numTensors).toBe(before);
    expect([...dense(drawn.media)]).toEqual([...dense(plain.media)]);
    const distance = (media: Media): number => {
      const end = dense(plain.media);
      return dense(media).reduce((sum, value, i) => sum + (value - end[i]!) ** 2, 0);
    };
    expect(shown.map(media => media.shape)).toEqual(Array(3).fill(plain.media.shape));
    const [first, second, third] = shown.map(distance) as [number, number, number];
    expect(first).toBeGreaterThan(second);
    expect(second).toBeGreaterThan(third);
    expect(third).toBeGreaterThan(0);
    model.dispose();
  });

  test('what a preview throws ends the run, and nothing leaks', async () => {
    const model = toyPipeline();
    const before = tf.memory().numTensors;
    const show = () => Promise.reject(new Error('nobody looks'));
    await expect(draw({ prompt: 'lion' }, { model, previews: { count: 1, show } })).rejects.toThrow('nobody looks');
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });
});
