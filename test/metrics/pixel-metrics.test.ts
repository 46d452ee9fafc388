import { resolve } from 'node:path';
import fc from 'fast-check';
import { goldenClips, goldenImages } from '../../src/lab/verify/golden-pixels';
import { clip, image } from '../../src/media/pixels';
import { meanSquaredError, overClips, psnr, ssim, ssimTorchmetrics } from '../../src/metrics';
import { levelDifference } from '../../src/metrics/levels';
import { writtenPsnr } from '../../src/metrics/video';
import { testClip, testImage } from '../media/pictures';
import { maxAbsDifference, readGolden, readGoldenCase } from '../support/golden';

const fixture = (name: string) => resolve(__dirname, '../fixtures/metrics', name);

interface Case {
  suggested_max_abs: Record<string, number>;
}

describe.each(['image_24x40', 'image_32x32', 'image_48x64'])('%s', name => {
  const golden = readGolden(fixture(name));
  const { suggested_max_abs: tolerance } = readGoldenCase<Case>(fixture(name));
  const reference = goldenImages(golden.get('in.a')!)[0]!;
  const distorted = goldenImages(golden.get('in.b')!);

  test.each(Object.entries({ mse: meanSquaredError, psnr, ssim, ssim_torchmetrics: ssimTorchmetrics }))(
    '%s is the reference value of every pair',
    (output, metric) => {
      const values = distorted.map(other => metric(reference, other));
      expect(maxAbsDifference(values, golden.get(`out.${output}`)!.data)).toBeLessThanOrEqual(tolerance[output]!);
    },
  );
});

test('video_2x4_24x32: clips are averaged per frame index, then over the indices', () => {
  const golden = readGolden(fixture('video_2x4_24x32'));
  const { suggested_max_abs: tolerance } = readGoldenCase<Case>(fixture('video_2x4_24x32'));
  const [a, b] = [goldenClips(golden.get('in.a')!), goldenClips(golden.get('in.b')!)];
  const pairs = a.map((clip, v) => [clip, b[v]!] as const);
  const [byPsnr, bySsim] = [overClips(psnr, pairs), overClips(ssim, pairs)];
  const results: Record<string, number[]> = {
    psnr_frames: byPsnr.perFrame.flat(),
    ssim_frames: bySsim.perFrame.flat(),
    ssim_frames_torchmetrics: overClips(ssimTorchmetrics, pairs).perFrame.flat(),
    mse_frames: overClips(meanSquaredError, pairs).perFrame.flat(),
    psnr_per_timestamp: byPsnr.perIndex,
    ssim_per_timestamp: bySsim.perIndex,
    psnr: [byPsnr.value],
    ssim: [bySsim.value],
  };
  expect(Object.keys(results).sort()).toEqual(
    [...golden.keys()].flatMap(name => (name.startsWith('out.') ? [name.slice(4)] : [])).sort(),
  );
  for (const [name, values] of Object.entries(results)) {
    const error = maxAbsDifference(values, golden.get(`out.${name}`)!.data);
    expect({ name, passes: error <= tolerance[name]! }).toEqual({ name, passes: true });
  }
});

test('what differs by less than a file can hold does not differ in it', () => {
  const grey = (...levels: number[]) =>
    clip(Float32Array.from(levels.flatMap(level => Array(3).fill(level))), levels.length, 1, 1);
  const [a, b] = [grey(100 / 255, 128 / 255), grey(100.4 / 255, 130 / 255)];
  expect(overClips(psnr, [[a, b]]).perIndex[0]).toBeLessThan(60);
  const [same, other] = writtenPsnr(a, b);
  expect(same).toBe(100);
  expect(other).toBeCloseTo(20 * Math.log10(255 / 2), 3);
});

test('equal images score best, metrics are symmetric, and SSIM lies in [-1, 1]', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 11, max: 20 }),
      fc.integer({ min: 11, max: 20 }),
      fc.nat(50),
      (height, width, salt) => {
        const [a, b] = [testImage(height, width), testImage(height, width, salt)];
        for (const similarity of [ssim, ssimTorchmetrics]) {
          expect(similarity(a, a)).toBeCloseTo(1, 12);
          expect(similarity(a, b)).toBeCloseTo(similarity(b, a), 12);
          expect(Math.abs(similarity(a, b))).toBeLessThanOrEqual(1 + 1e-12);
        }
        expect(psnr(a, a)).toBe(100);
        expect(psnr(a, b)).toBe(psnr(b, a));
      },
    ),
    { numRuns: 20 },
  );
});

test('a known difference has its known PSNR', () => {
  const grey = (value: number) => image(new Float32Array(12 * 12 * 3).fill(value), 12, 12);
  expect(psnr(grey(0.5), grey(0.25))).toBeCloseTo(-10 * Math.log10(0.0625), 12);
});

test('pictures that do not fit together are refused', () => {
  expect(() => psnr(testImage(4, 5), testImage(5, 4))).toThrow(
    'Cannot compare a picture of 5×4 with a picture of 4×5.',
  );
  expect(() => psnr(testImage(4, 4), testClip(2, 4, 4))).toThrow('with a clip of 2 frames of 4×4');
  expect(() => ssim(testImage(10, 30), testImage(10, 30))).toThrow('at least 11×11 pixels; these are 30×10');
  expect(() => ssimTorchmetrics(testImage(5, 30), testImage(5, 30))).toThrow('at least 6×6');
  expect(() => overClips(psnr, [])).toThrow('need one length');
});

test('differences of 8-bit pixels count pixels, not colours, after rounding', () => {
  const grey = new Float32Array(2 * 2 * 3).fill(100 / 255);
  const other = grey.slice();
  other[0] = 101.4 / 255; // one level
  other[1] = 97 / 255; // the same pixel
  other[3] = 100.3 / 255; // rounds to the same level
  const [a, b] = [image(grey, 2, 2), image(other, 2, 2)];
  expect(levelDifference(a, b)).toEqual({ differing: 0.25, largest: 3 });
  expect(levelDifference(a, a)).toEqual({ differing: 0, largest: 0 });
  const [still, moving] = [
    clip(Float32Array.of(...grey, ...grey), 2, 2, 2),
    clip(Float32Array.of(...grey, ...other), 2, 2, 2),
  ];
  expect(levelDifference(still, moving)).toEqual({ differing: 0.125, largest: 3 });
  expect(() => levelDifference(a, still)).toThrow('Cannot compare');
});
