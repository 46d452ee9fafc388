import { readdirSync } from 'node:fs';
import { join } from 'node:path';
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
    expect({ ...again.receipt, version: '' }).toEqual({ ...receipt, version: '' });
    // Through the same encoder: a clip's file is not lossless.
    const { pixels, fps } = await readMedia(name);
    const copy = scratch.path(name);
    await writeMedia(copy, again.media, { receipt, fps });
    expect(toBytes((await readMedia(copy)).pixels)).toEqual(toBytes(pixels));
  });
}, ['wasm']);
