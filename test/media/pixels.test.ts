import fc from 'fast-check';
import { clip, dense, frames, fromBytes, image, isClip, joinFrames, toBytes } from '../../src/media/pixels';
import { testClip, testImage } from './pictures';

test('bytes survive the way to pixels and back', () => {
  const all = Uint8Array.from({ length: 768 }, (_, i) => i % 256);
  expect(toBytes(fromBytes(all, [16, 16, 3]))).toEqual(all);
});

test('rounding is to the nearest level, and what is outside is clamped', () => {
  const values = Float32Array.of(-1, 0.5, 1.5, 0.4980392, 0.49999 / 255, 0.50001 / 255);
  expect([...toBytes(image(values, 1, 2))]).toEqual([0, 128, 255, 127, 0, 1]);
});

test('values that are not numbers are refused', () => {
  expect(() => toBytes(image(Float32Array.of(0, Number.NaN, 0), 1, 1))).toThrow('values that are not numbers');
});

test('frames are views, and joining them gives the clip back', () => {
  const moving = testClip(3, 4, 5);
  const stills = frames(moving);
  expect(stills.map(still => still.shape)).toEqual([[4, 5, 3], [4, 5, 3], [4, 5, 3]]); // biome-ignore format: table
  expect(stills[0]!.data).toBe(moving.data);
  expect(joinFrames(stills).data).toEqual(moving.data);
  expect(() => joinFrames([testImage(2, 2), testImage(2, 3)])).toThrow('Frame 1 is [2,3,3] and the first is [2,2,3].');
});

test('views of any order are read right', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), (height, width) => {
      const still = testImage(height, width);
      const turned = still.transpose(1, 0, 2);
      const back = image(dense(turned), width, height).transpose(1, 0, 2);
      return toBytes(back).every((byte, i) => byte === toBytes(still)[i]);
    }),
  );
  const mirrored = testImage(2, 3).step(1, -1, 1);
  expect(dense(mirrored).slice(0, 3)).toEqual(dense(testImage(2, 3)).slice(6, 9));
});

test('shapes that are no pictures are refused', () => {
  expect(() => image(new Float32Array(5), 1, 2)).toThrow('5 values do not fill pixels of shape [1,2,3].');
  expect(() => clip(new Float32Array(0), 0, 2, 2)).toThrow('neither an image nor a clip');
  expect(isClip(testClip(1, 2, 2))).toBe(true);
});
