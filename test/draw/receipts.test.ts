import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { repeat } from '../../src/draw/on-disk';
import { parseReceipt } from '../../src/draw/receipt';
import { toBytes } from '../../src/media/pixels';
import { readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { writeMedia } from '../../src/media/write';
import { scratchFolder } from '../media/pictures';
import { describeOnBackends } from '../support/backends';

const scratch = scratchFolder();

/** Pictures that version 0.1.0 wrote on wasm: with a shipped policy, without one, from a picture, and a clip. */
const folder = join(__dirname, '../fixtures/receipts');
const home = process.cwd();
// A receipt names the picture that its run began with as it was named then.
beforeAll(() => process.chdir(folder));
afterAll(() => process.chdir(home));

describeOnBackends('a receipt of an earlier version', () => {
  test.each(readdirSync(folder))('%s: its picture is drawn again bit for bit, with the same receipt', async name => {
    const receipt = parseReceipt(await readReceipt(name), name);
    const again = await repeat(receipt);
    // Policies have had no bounds from the beginning.
    const told = { ...again.receipt, version: '', bound: undefined };
    expect(told).toEqual({ ...receipt, version: '', bound: undefined });
    // Through the same encoder: a clip's file is not lossless.
    const { pixels, fps } = await readMedia(name);
    const copy = scratch.path(name);
    await writeMedia(copy, again.media, { receipt, fps });
    expect(toBytes((await readMedia(copy)).pixels)).toEqual(toBytes(pixels));
  });

  test('is read from its own file as from the picture beside it', async () => {
    const [name] = readdirSync(folder).filter(each => each.endsWith('.png'));
    const receipt = await readReceipt(name!);
    const [clip, text] = [scratch.path('clip.gif'), scratch.path('clip.gif.json')];
    await writeMedia(clip, (await readMedia(readdirSync(folder).find(each => /clip/.test(each))!)).pixels, { receipt });
    expect(await readReceipt(clip)).toEqual(receipt);
    expect(await readReceipt(text)).toEqual(receipt);
    for (const other of [JSON.stringify({ format: 'ertacache-policy' }), 'no JSON']) {
      writeFileSync(scratch.path('other.json'), other);
      await expect(readReceipt(scratch.path('other.json'))).rejects.toThrow('carries no receipt');
    }
    await expect(readReceipt(scratch.path('none.json'))).rejects.toThrow('There is no file');
  });

  test('of a model that no longer ships is refused in one sentence', async () => {
    const old = join(__dirname, '../fixtures/old-receipts/heart-32.png');
    const before = tf.memory().numTensors;
    await expect(repeat(parseReceipt(await readReceipt(old), old))).rejects.toThrow(
      /^The picture was made with another version of the model "fluent-emoji": with 8e5865e992fc, and this one is [0-9a-f]{12}\.$/,
    );
    expect(tf.memory().numTensors).toBe(before);
  });
}, ['wasm']);
