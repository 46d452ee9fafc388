import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { readReceipt } from '../../src/browser/files/read-receipt';
import { image } from '../../src/media/pixels';
import { writeMedia } from '../../src/media/write';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();
const receipt = { tool: 'ertacache', version: '0.1.0', prompt: 'œuf & <b>', seed: 3 };

test.each(['png', 'webp', 'jpg'])('a page reads the receipt of a %s file of the command line', async end => {
  const path = scratch.path(`picture.${end}`);
  await writeMedia(path, image(new Float32Array(4 * 4 * 3).fill(0.5), 4, 4), { receipt });
  expect(await readReceipt(new Uint8Array(readFileSync(path)), path)).toEqual(receipt);
});

/** A PNG of one chunk of compressed text. */
function pngOf(name: string, content: Uint8Array): Uint8Array {
  const data = Buffer.concat([Buffer.from(`${name}\0\0`, 'latin1'), content]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(data.length);
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  return new Uint8Array(Buffer.concat([signature, size, Buffer.from('zTXt'), data, Buffer.alloc(4)]));
}

test('compressed text that is damaged, or grows without end, is refused', async () => {
  const bomb = deflateSync(Buffer.alloc(40_000_000, 32));
  expect(bomb.length).toBeLessThan(100_000);
  const read = (content: Uint8Array) => readReceipt(pngOf('XML:com.adobe.xmp', content), 'a.png');
  await expect(read(bomb)).rejects.toThrow('A compressed text of the file is too large.');
  await expect(read(Uint8Array.from([1, 2, 3]))).rejects.toThrow('The receipt of a.png is damaged.');
  await expect(readReceipt(pngOf('Comment', deflateSync('{}')), 'a.png')).rejects.toThrow('a.png carries no receipt.');
});
