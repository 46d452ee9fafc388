/** Pictures that are drawn together: each must be the one that it would be alone. */
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { teacache } from '../../src/cache/teacache';
import { drawBatch as drawBatchWith } from '../../src/draw/draw';
import { draw, drawBatch } from '../../src/draw/on-disk';
import { UsageError } from '../../src/errors';
import { dense, type Media } from '../../src/media/pixels';
import { loadModel } from '../../src/pipelines/load';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

jest.setTimeout(120_000);

const PROMPTS = ['red heart', 'a lion with a golden key', 'blue star'];
const rows = (more: object) => PROMPTS.map((prompt, seed) => ({ prompt, seed, ...more }));
const TINY = [
  'flux-tiny/pipeline',
  'wan-tiny/pipeline',
  'cogvideox-tiny/pipeline',
  'opensora-tiny/pipeline',
  'minit2i-tiny/hub/MiniT2I/MiniT2I',
];

/** How far values of 0 … 1 may lie apart: rounding differs with the number of rows that are multiplied. */
const ROUNDING = 1e-5;

describeOnBackends('a batch', () => {
  test.each([
    ['fluent-emoji', { steps: 3, policy: 'none' }],
    ['fluent-emoji', {}],
    ['fluent-emoji-video', { steps: 2, policy: 'none' }],
  ])('of %s %j has the pictures and receipts of each alone, value for value', async (name, settings) => {
    const model = await loadModel(name);
    const before = tf.memory().numTensors;
    const together = await drawBatch(rows(settings), { model });
    for (const [row, request] of rows(settings).entries()) {
      const alone = await draw(request, { model });
      expect(together[row]!.receipt).toEqual(alone.receipt);
      expect(Buffer.compare(bytesOf(together[row]!.media), bytesOf(alone.media))).toBe(0);
    }
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  test.each(TINY)('of %s has the pictures of each alone, but for rounding', async name => {
    const model = await loadModel(join(__dirname, '../fixtures/pipelines', name));
    const settings = { steps: 2, guidance: 3, policy: 'none' };
    const together = await drawBatch(rows(settings), { model });
    for (const [row, request] of rows(settings).entries()) {
      const alone = dense((await draw(request, { model })).media);
      const most = dense(together[row]!.media).reduce((far, value, i) => Math.max(far, Math.abs(value - alone[i]!)), 0);
      expect(most).toBeLessThan(ROUNDING);
    }
    model.dispose();
  });

  test('has requests that are alike, and a method that sees no other row', async () => {
    const model = toyPipeline();
    const policy = teacache({ threshold: 0.1, coefficients: [1, 0] });
    await expect(drawBatchWith([], { model })).rejects.toThrow('A batch has no requests.');
    for (const other of [{ steps: 3 }, { size: { width: 32 } }, { negativePrompt: 'key' }]) {
      const refused = drawBatchWith([{ prompt: 'lion' }, { prompt: 'key', ...other }], { model });
      await expect(refused).rejects.toThrow(`The requests of a batch differ in ${Object.keys(other)[0]}.`);
    }
    const dynamic = drawBatchWith([{ prompt: 'lion' }, { prompt: 'key' }], { model, policy });
    await expect(dynamic).rejects.toThrow(UsageError);
    await expect(dynamic).rejects.toThrow('teacache decides for each picture while it is drawn');
    expect(await drawBatchWith([{ prompt: 'lion' }], { model, policy })).toHaveLength(1);
    model.dispose();
  });

  test('shows the previews of every row, enlarged as each asks', async () => {
    const model = toyPipeline();
    const shown: unknown[] = [];
    const show = (media: Media, index: number, row: number) => void shown.push([row, index, media.shape[0]]);
    const requests = [{ prompt: 'lion' }, { prompt: 'key', scale: 2 }];
    const drawn = await drawBatchWith(requests, { model, previews: { count: 2, show } });
    expect(shown).toEqual([
      [0, 0, 16],
      [1, 0, 32],
      [0, 1, 16],
      [1, 1, 32],
    ]);
    expect(drawn.map(({ media }) => media.shape[0])).toEqual([16, 32]);
    model.dispose();
  });
});

function bytesOf(media: Media): Buffer {
  const { buffer } = Float32Array.from(dense(media));
  return Buffer.from(buffer);
}
