import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { readInputs } from '../../src/draw/read-inputs';
import { parseReceipt } from '../../src/draw/receipt';
import { parseRequest } from '../../src/draw/request';
import { formatReceipt } from '../../src/media/format-receipt';
import { enlarged, fromBytes, toBytes } from '../../src/media/pixels';
import { readImage, readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { toXmp } from '../../src/media/xmp';
import { scratchFolder, testImage } from './pictures';

const scratch = scratchFolder();

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** A PNG of one bit a pixel that says its size, and whatever else is to come before its pixels. */
function png(width: number, height: number, ...before: Buffer[]): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const rows = deflateSync(Buffer.alloc(Math.min(height, 64) * (1 + Math.ceil(width / 8))));
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...before,
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const inputsOf = (path: string) => readInputs(parseRequest({ prompt: 'lion', init: { path } }));

test('a picture that says it is huge is refused by its header', async () => {
  for (const side of [20_000, 40_000]) {
    writeFileSync(scratch.path('huge.png'), png(side, side));
    const words = `huge.png has ${side} × ${side}, ${side === 20_000 ? 400 : '1,600'} million pixels, and at most 100`;
    await expect(readMedia(scratch.path('huge.png'))).rejects.toThrow(words);
    await expect(inputsOf(scratch.path('huge.png'))).rejects.toThrow(words);
    await expect(readReceipt(scratch.path('huge.png'))).rejects.toThrow('carries no receipt');
  }
});

test('frames without end are refused, whether pages or words in the XMP', async () => {
  const xmp = toXmp({ frames: 1e9, fps: 16 });
  const dot = sharp(Buffer.alloc(3 * 16), { raw: { width: 4, height: 4, channels: 3 } }).withXmp(xmp);
  writeFileSync(scratch.path('x.webp'), await dot.clone().webp().toBuffer());
  await expect(readMedia(scratch.path('x.webp'))).rejects.toThrow('x.webp holds 1000000000 frames, and at most 4096');
  // Only WebP merges frames; a PNG is one picture whatever it says.
  writeFileSync(scratch.path('x.png'), await dot.clone().png().toBuffer());
  expect((await readMedia(scratch.path('x.png'))).pixels.shape).toEqual([4, 4, 3]);

  const frames = 5000;
  const raw = { width: 2, height: 2 * frames, channels: 3 as const, pageHeight: 2 };
  const bytes = Buffer.from(Array.from({ length: 12 * frames }, (_, i) => (i * 7) % 256));
  writeFileSync(scratch.path('x.gif'), await sharp(bytes, { raw }).gif({ keepDuplicateFrames: true }).toBuffer());
  await expect(readMedia(scratch.path('x.gif'))).rejects.toThrow('x.gif holds 5000 frames, and at most 4096 are read.');
});

test('an animated PNG is refused rather than read as its first frame', async () => {
  const control = Buffer.alloc(8);
  control.writeUInt32BE(3, 0);
  writeFileSync(scratch.path('moving.png'), png(8, 8, chunk('acTL', control)));
  await expect(readMedia(scratch.path('moving.png'))).rejects.toThrow('is an animated PNG');
  control.writeUInt32BE(1, 0);
  writeFileSync(scratch.path('still.png'), png(8, 8, chunk('acTL', control)));
  expect((await readMedia(scratch.path('still.png'))).pixels.shape).toEqual([8, 8, 3]);
});

test('what may never end is not read: devices, pipes, files without bounds', async () => {
  execFileSync('mkfifo', [scratch.path('pipe.png')]);
  for (const path of ['/dev/zero', scratch.path('pipe.png')]) {
    await expect(inputsOf(path)).rejects.toThrow('is not a file');
    await expect(readMedia(path)).rejects.toThrow('is not a file');
  }
  await expect(readReceipt(scratch.path('pipe.png'))).rejects.toThrow('is not a file');
  writeFileSync(scratch.path('sparse.png'), '');
  truncateSync(scratch.path('sparse.png'), 2 ** 33);
  await expect(inputsOf(scratch.path('sparse.png'))).rejects.toThrow('has 8589934592 bytes');
  await expect(readMedia(scratch.path('sparse.png'))).rejects.toThrow('has 8589934592 bytes');
});

test('a photo to begin with is shrunk while it is read, a picture of usual size is not', async () => {
  const photo = sharp({ create: { width: 6000, height: 4000, channels: 3, background: '#468' } });
  writeFileSync(scratch.path('photo.jpg'), await photo.jpeg().toBuffer());
  expect((await inputsOf(scratch.path('photo.jpg'))).init?.shape).toEqual([2731, 4096, 3]);
  const usual = testImage(31, 17);
  writeFileSync(
    scratch.path('usual.png'),
    await sharp(toBytes(usual), { raw: { width: 17, height: 31, channels: 3 } })
      .png()
      .toBuffer(),
  );
  expect(toBytes((await inputsOf(scratch.path('usual.png'))).init!)).toEqual(toBytes(usual));
  await expect(readImage(scratch.path())).rejects.toThrow('is a folder where one picture is needed');
});

test('forty million pixels become numbers', () => {
  const bytes = new Uint8Array(3 * 40e6).fill(51);
  const { data } = fromBytes(bytes, [40, 1e6, 3]);
  expect([data[0], data.at(-1)]).toEqual([Math.fround(0.2), Math.fround(0.2)]);
});

test('enlarging has an end', () => {
  expect(() => enlarged(testImage(200, 200), 64)).toThrow('is more than can be made of it by enlarging');
});

const receipt = {
  tool: 'ertacache',
  version: '1.0.0',
  model: { id: 'x', hash: 'y', path: 'x' },
  prompt: 'lion',
  seed: 1,
  steps: 4,
  guidance: 1,
  scale: 1,
  backend: 'wasm',
  policy: null,
  schedule: '####',
  forwards: 4,
};

test.each([
  ['steps', 1e9],
  ['scale', 1e6],
  ['maxSequenceLength', 1e9],
  ['size', { width: 1e9 }],
  ['seed', -1],
])('a receipt may ask for no more than a command line: %s %j', (field, value) => {
  expect(() => parseReceipt({ ...receipt, [field]: value }, 'x.png')).toThrow(
    new RegExp(`receipt in x.png does not describe a run of ertacache: ${field}`),
  );
});

test('a receipt of very many keys, or nested very deep, is told without a fault', async () => {
  const many = Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`k${i}`, i]));
  expect(formatReceipt(many).split('\n')).toHaveLength(300_000);
  writeFileSync(scratch.path('x.gif'), '');
  writeFileSync(scratch.path('x.gif.json'), `${'['.repeat(50_000)}${']'.repeat(50_000)}`);
  await expect(readReceipt(scratch.path('x.gif'))).rejects.toThrow('is damaged');
});
