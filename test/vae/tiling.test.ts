import * as tf from '@tensorflow/tfjs-core';
import { decodeTiles, needsTiles, tileStarts } from '../../src/models/vae/tiling';
import { upsampleNearest } from '../../src/nn/upsample';
import { describeOnBackends } from '../support/backends';
import { maxDifference, noise } from './support';

describeOnBackends('tiles', () => {
  /** A decoder that looks at one pixel at a time: tiles must not show. */
  const enlarge = async (latent: tf.Tensor): Promise<tf.Tensor> =>
    tf.tidy(() => {
      const [channels, frames, height, width] = latent.shape as [number, number, number, number];
      const images = tf.reshape(latent, [channels * frames, height, width, 1]);
      return tf.reshape(upsampleNearest(images, 2), [channels, frames, height * 2, width * 2]);
    });

  test.each([
    [8, 7],
    [4, 9],
    [5, 4],
    [11, 13],
  ])('of a decoder that looks at one pixel join without a seam, %d × %d', async (height, width) => {
    const before = tf.memory().numTensors;
    const latent = noise([2, 3, height, width]);
    const expected = await enlarge(latent);
    const actual = await decodeTiles(latent, { tile: [4, 5], stride: [3, 3] }, 2, enlarge);
    expect(maxDifference(actual, expected)).toBeLessThan(1e-6);
    tf.dispose([latent, expected, actual]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('fade into the one before, linearly', async () => {
    let calls = 0;
    const latent = tf.zeros([1, 1, 1, 5]);
    // The first tile is all 0, the second all 1.
    const steps = async (tile: tf.Tensor): Promise<tf.Tensor> => tf.fill([1, 1, 1, tile.shape[3] as number], calls++);
    const actual = await decodeTiles(latent, { tile: [1, 4], stride: [1, 2] }, 1, steps);
    expect(Array.from(actual.dataSync())).toEqual([0, 0, 0, 0.5, expect.any(Number)]);
    tf.dispose([latent, actual]);
  });

  test('of a decoder that fails are all released', async () => {
    const before = tf.memory().numTensors;
    let calls = 0;
    const latent = noise([1, 1, 8, 8]);
    const failing = async (tile: tf.Tensor): Promise<tf.Tensor> => {
      if (++calls === 4) throw new Error('no more');
      return enlarge(tile);
    };
    await expect(decodeTiles(latent, { tile: [4, 4], stride: [3, 3] }, 2, failing)).rejects.toThrow('no more');
    latent.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('begin at every step, and are needed when one does not cover the latent', () => {
    expect(tileStarts(7, 3)).toEqual([0, 3, 6]);
    expect(tileStarts(6, 3)).toEqual([0, 3]);
    const tiling = { tile: [4, 5], stride: [3, 3] } as const;
    expect(needsTiles(tiling, 4, 5)).toBe(false);
    expect(needsTiles(tiling, 5, 5)).toBe(true);
    expect(needsTiles(tiling, 4, 6)).toBe(true);
  });
});
