import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { UsageError } from '../../src/errors';
import { encodeMedia } from '../../src/media/encode';
import { type Clip, frames, joinFrames, toBytes } from '../../src/media/pixels';
import { readImage, readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { mediaFormat, writeMedia } from '../../src/media/write';
import { psnr } from '../../src/metrics/psnr';
import { inspectMp4 } from './mp4';
import { scratchFolder, testClip, testImage } from './pictures';

const scratch = scratchFolder();
const receipt = { model: 'emoji', prompt: 'a “<red> & blue”\n heart ❤️ \ud83e', decisions: '##.#..', seed: 1 };

test.each(['x.png', 'x.webp'])('%s keeps every pixel and the receipt', async name => {
  const still = testImage(31, 17);
  await writeMedia(scratch.path(name), still, { receipt });
  const { pixels } = await readMedia(scratch.path(name));
  expect(pixels.shape).toEqual([31, 17, 3]);
  expect(toBytes(pixels)).toEqual(toBytes(still));
  expect(await readReceipt(scratch.path(name))).toEqual(receipt);
  expect(readdirSync(scratch.path())).toEqual([name]);
});

test('a JPEG file is small, near to the picture, and holds the receipt', async () => {
  const still = testImage(20, 30);
  await writeMedia(scratch.path('x.jpg'), still, { receipt });
  const { pixels } = await readMedia(scratch.path('x.jpg'));
  expect(psnr(pixels, still)).toBeGreaterThan(30);
  expect(await readReceipt(scratch.path('x.jpg'))).toEqual(receipt);
  await writeMedia(scratch.path('y.jpeg'), still, { quality: 5 });
  expect(readFileSync(scratch.path('y.jpeg')).length).toBeLessThan(readFileSync(scratch.path('x.jpg')).length);
  await expect(writeMedia(scratch.path('z.jpg'), testClip(2, 6, 8))).rejects.toThrow('A JPEG file holds one picture');
});

test('an animated WebP of quality 100 keeps every pixel, frame, the rate and the receipt', async () => {
  const moving = testClip(7, 20, 30);
  await writeMedia(scratch.path('x.webp'), moving, { receipt, fps: 16, quality: 100 });
  const metadata = await sharp(scratch.path('x.webp'), { pages: -1 }).metadata();
  expect(metadata.pages).toBe(7);
  expect(metadata.delay!.reduce((a, b) => a + b)).toBe(Math.round(7000 / 16));
  const { pixels, fps } = await readMedia(scratch.path('x.webp'));
  expect(fps).toBe(16);
  expect(toBytes(pixels)).toEqual(toBytes(moving));
  expect(await readReceipt(scratch.path('x.webp'))).toEqual(receipt);
});

test('equal frames, which WebP merges, are there again when it is read', async () => {
  const [a, b, c] = frames(testClip(3, 20, 30)) as [Clip, Clip, Clip];
  for (const order of [[a, a, b, b, b, c, a], [a, a, a], [c], [a, b, b]]) {
    const moving = joinFrames(order);
    await writeMedia(scratch.path('x.webp'), moving, { fps: 24, quality: 100 });
    const { pixels, fps } = await readMedia(scratch.path('x.webp'));
    expect([pixels.shape, fps]).toEqual([moving.shape, 24]);
    expect(toBytes(pixels)).toEqual(toBytes(moving));
  }
});

test('a GIF has all frames, also equal ones, at the rate, and its receipt beside it', async () => {
  const [a, b] = frames(testClip(2, 20, 30)) as [Clip, Clip];
  await writeMedia(scratch.path('x.gif'), joinFrames([a, a, b, a]), { receipt, fps: 8 });
  const metadata = await sharp(scratch.path('x.gif'), { pages: -1 }).metadata();
  expect([metadata.pages, metadata.delay]).toEqual([4, [130, 120, 130, 120]]);
  const { pixels, fps } = await readMedia(scratch.path('x.gif'));
  expect([pixels.shape, fps]).toEqual([[4, 20, 30, 3], 8]);
  expect(psnr(frames(pixels)[2]!, b)).toBeGreaterThan(25);
  expect(await readReceipt(scratch.path('x.gif'))).toEqual(receipt);
});

test('a GIF of a rate at which browsers would play it slowly is refused', async () => {
  await writeMedia(scratch.path('x.gif'), testClip(7, 20, 30), { fps: 50 });
  expect(new Set((await sharp(scratch.path('x.gif'), { pages: -1 }).metadata()).delay)).toEqual(new Set([20]));
  const fast = writeMedia(scratch.path('y.gif'), testClip(7, 20, 30), { fps: 60 });
  await expect(fast).rejects.toThrow('A GIF plays at 50 frames per second at most, and the clip has 60.');
  await expect(fast).rejects.toMatchObject({ code: 'usage', hint: expect.stringContaining('.webp') });
  expect(readdirSync(scratch.path())).toEqual(['x.gif']);
});

test('a WebP of a rate at which it would play slowly is refused', async () => {
  const delays = (await sharp(await encodeMedia(testClip(9, 20, 30), 'webp', { fps: 90 }), { pages: -1 }).metadata())
    .delay;
  expect(new Set(delays)).toEqual(new Set([11, 12]));
  const fast = encodeMedia(testClip(9, 20, 30), 'webp', { fps: 92 });
  await expect(fast).rejects.toThrow('A WebP plays at 90 frames per second at most, and the clip has 92.');
});

test('frames that a GIF or a WebP cannot show for so long are refused, and those that it can are not', async () => {
  const clip = testClip(2, 20, 30);
  for (const format of ['gif', 'webp'] as const) {
    const slow = encodeMedia(clip, format, { fps: 0.01 });
    await expect(slow).rejects.toThrow('shows a frame for 65 seconds at most');
    await expect(slow).rejects.toMatchObject({ code: 'usage' });
    expect((await encodeMedia(clip, format, { fps: 1 / 64.9 })).length).toBeGreaterThan(0);
  }
  expect((await encodeMedia(frames(clip)[0]!, 'webp', { fps: 0.01 })).length).toBeGreaterThan(0);
});

test.each([
  [16, 20, 30],
  [8, 21, 31],
  [23.976, 48, 64],
])('an MP4 at %d frames per second of %d × %d has its frames, rate and size', async (fps, height, width) => {
  const listeners = process.listenerCount('uncaughtException');
  await writeMedia(scratch.path('x.mp4'), testClip(9, height, width), { receipt, fps });
  const bytes = readFileSync(scratch.path('x.mp4'));
  const track = inspectMp4(bytes);
  expect(track).toMatchObject({ codec: 'avc1', frames: 9, width: width + (width % 2), height: height + (height % 2) });
  expect(track.seconds).toBeCloseTo(9 / fps, 2);
  // Primaries and transfer of BT.709, matrix of BT.601, and not the full range.
  expect(track.colour).toEqual([1, 1, 6, 0]);
  expect(await readReceipt(scratch.path('x.mp4'))).toEqual(receipt);
  expect(process.listenerCount('uncaughtException')).toBe(listeners);
  await writeMedia(scratch.path('y.mp4'), testClip(9, height, width), { fps });
  expect(readFileSync(scratch.path('y.mp4')).equals(bytes)).toBe(true);
});

test('a frame folder is numbered, holds its receipt, and reads back as the clip', async () => {
  const moving = testClip(11, 6, 8);
  await writeMedia(scratch.path('frames/'), moving, { receipt });
  expect(readdirSync(scratch.path('frames')).slice(0, 3)).toEqual([
    '.ertacache.json',
    'frame_0000.png',
    'frame_0001.png',
  ]);
  expect(toBytes((await readMedia(scratch.path('frames'))).pixels)).toEqual(toBytes(moving));
  expect(await readReceipt(scratch.path('frames/'))).toEqual(receipt);
  await writeMedia(scratch.path('frames/'), testClip(2, 6, 8));
  expect(readdirSync(scratch.path('frames'))).toEqual(['.ertacache.json', 'frame_0000.png', 'frame_0001.png']);
});

test('a folder with files of the user is not replaced', async () => {
  await writeMedia(scratch.path('frames/'), testClip(2, 6, 8));
  writeFileSync(scratch.path('frames', 'notes.txt'), 'mine');
  await expect(writeMedia(scratch.path('frames/'), testClip(3, 6, 8))).rejects.toThrow('holds other files');
  expect(readdirSync(scratch.path('frames')).length).toBe(4);
});

test('frames of another program, or changed since, are not replaced', async () => {
  mkdirSync(scratch.path('frames'));
  writeFileSync(scratch.path('frames', 'frame_0000.png'), 'mine');
  await expect(writeMedia(scratch.path('frames/'), testClip(2, 6, 8))).rejects.toThrow('holds other files');
  await writeMedia(scratch.path('own/'), testClip(2, 6, 8));
  writeFileSync(scratch.path('own', 'frame_0001.png'), 'retouched');
  await expect(writeMedia(scratch.path('own/'), testClip(2, 6, 8))).rejects.toThrow('holds other files');
  expect(readFileSync(scratch.path('frames', 'frame_0000.png'), 'utf8')).toBe('mine');
  expect(readFileSync(scratch.path('own', 'frame_0001.png'), 'utf8')).toBe('retouched');
});

test('a file beside a clip that is no receipt is neither replaced nor removed', async () => {
  writeFileSync(scratch.path('x.mp4.json'), '{"mine":1}');
  await expect(writeMedia(scratch.path('x.mp4'), testClip(2, 6, 8), { receipt })).rejects.toThrow(
    'x.mp4.json was not written by ertacache and is not replaced.',
  );
  expect(readdirSync(scratch.path())).toEqual(['x.mp4.json']);
  await writeMedia(scratch.path('x.mp4'), testClip(2, 6, 8));
  expect(readFileSync(scratch.path('x.mp4.json'), 'utf8')).toBe('{"mine":1}');
});

test('a new file without a receipt does not keep the old one', async () => {
  await writeMedia(scratch.path('x.gif'), testClip(2, 6, 8), { receipt });
  await writeMedia(scratch.path('x.gif'), testClip(2, 6, 8));
  expect(existsSync(scratch.path('x.gif.json'))).toBe(false);
  await expect(readReceipt(scratch.path('x.gif'))).rejects.toThrow('carries no receipt');
});

test('names and options that cannot be are refused before anything is written', async () => {
  expect(() => mediaFormat('a/b.bmp')).toThrow('The output name a/b.bmp ends with .bmp, which is not written.');
  expect(() => mediaFormat('name')).toThrow(UsageError);
  const moving = testClip(2, 6, 8);
  await expect(writeMedia(scratch.path('x.png'), moving)).rejects.toThrow('the clip has 2 frames');
  await expect(writeMedia(scratch.path('x.gif'), moving, { fps: 0 })).rejects.toThrow('at 0 frames per second');
  await expect(writeMedia(scratch.path('x.webp'), moving, { quality: 0 })).rejects.toThrow('quality 0');
  expect(readdirSync(scratch.path())).toEqual([]);
});

test('pictures of other programs are read: grey, transparent, 16 bits, turned by EXIF', async () => {
  const raw = { width: 2, height: 1, channels: 1 as const };
  await sharp(Buffer.of(0, 255), { raw }).png().toFile(scratch.path('grey.png'));
  expect([...toBytes(await readImage(scratch.path('grey.png')))]).toEqual([0, 0, 0, 255, 255, 255]);

  const rgba = { width: 1, height: 1, channels: 4 as const };
  await sharp(Buffer.of(255, 0, 0, 0), { raw: rgba })
    .png()
    .toFile(scratch.path('clear.png'));
  expect([...toBytes(await readImage(scratch.path('clear.png')))]).toEqual([255, 255, 255]);

  await sharp(Buffer.of(0, 255), { raw }).toColourspace('rgb16').png().toFile(scratch.path('deep.png'));
  expect([...toBytes(await readImage(scratch.path('deep.png')))]).toEqual([0, 0, 0, 255, 255, 255]);

  await sharp(Buffer.of(0, 255), { raw }).withMetadata({ orientation: 6 }).png().toFile(scratch.path('turned.png'));
  expect((await readImage(scratch.path('turned.png'))).shape).toEqual([2, 1, 3]);
});

test('what cannot be read is said in a sentence', async () => {
  writeFileSync(scratch.path('text.png'), 'no picture');
  writeFileSync(scratch.path('x.mp4'), '');
  writeFileSync(scratch.path('x.gif.json'), '{');
  writeFileSync(scratch.path('x.gif'), '');
  await writeMedia(scratch.path('moving.webp'), testClip(2, 6, 8));
  await expect(readMedia(scratch.path('none.png'))).rejects.toThrow('There is no file');
  await expect(readMedia(scratch.path('text.png'))).rejects.toThrow('is not a picture that can be read');
  await expect(readMedia(scratch.path('x.mp4'))).rejects.toThrow('is written but not read back');
  await expect(readImage(scratch.path('moving.webp'))).rejects.toThrow('holds 2 frames where one picture is needed');
  await expect(readReceipt(scratch.path('x.gif'))).rejects.toThrow('is damaged');
  await expect(readReceipt(scratch.path('none.mp4'))).rejects.toThrow('There is no file');
});
