import sharp from 'sharp';
import { sha256 } from '../../src/io/sha256';
import { image } from '../../src/media/pixels';
import { encodePng } from '../../src/media/png';
import { toXmp } from '../../src/media/xmp';
import { torchGenerator } from '../../src/random/torch-generator';

/** Pictures that different filters suit: noise, a flat one, ramps across, down, and both ways. */
const kinds: Readonly<Record<string, (x: number, y: number, noise: number) => number>> = {
  noise: (_x, _y, noise) => Math.round(noise * 255),
  flat: () => 77,
  across: x => (5 * x) % 256,
  down: (_x, y) => (7 * y) % 256,
  both: (x, y) => (3 * x + 11 * y) % 256,
};

describe.each([
  [1, 1],
  [1, 9],
  [7, 1],
  [64, 64],
  [33, 130],
])('a picture of %i by %i pixels', (width, height) => {
  test.each(Object.keys(kinds))('%s', async kind => {
    const random = torchGenerator(1);
    const noise = Array.from({ length: width * height * 3 }, () => random.uniformFloat());
    const levels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
      const pixel = Math.floor(i / 3);
      return kinds[kind]!(pixel % width, Math.floor(pixel / width), noise[i]!);
    });
    const xmp = toXmp({ receipt: { prompt: 'a "fox" & ünï' } });
    const file = encodePng(
      image(
        Float32Array.from(levels, level => level / 255),
        height,
        width,
      ),
      xmp,
    );
    const read = sharp(file);
    const { data, info } = await read.clone().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([width, height, 3]);
    expect(Buffer.from(levels).equals(data)).toBe(true);
    expect((await read.metadata()).xmp?.toString()).toBe(xmp);
  });
});

test('filters make a file smaller than its pixels are without', async () => {
  const ramp = image(
    Float32Array.from({ length: 64 * 64 * 3 }, (_, i) => ((Math.floor(i / 3) * 37) % 251) / 255),
    64,
    64,
  );
  const { data, info } = await sharp(encodePng(ramp)).raw().toBuffer({ resolveWithObject: true });
  const plain = await sharp(data, { raw: info }).png({ compressionLevel: 9, adaptiveFiltering: false }).toBuffer();
  expect(encodePng(ramp).length).toBeLessThan(plain.length);
});

test('the same pixels are the same file in every runtime', () => {
  const random = torchGenerator(2);
  const pixels = Float32Array.from({ length: 64 * 64 * 3 }, () => Math.round(random.uniformFloat() * 9) / 255);
  expect(sha256(encodePng(image(pixels, 64, 64)))).toBe(
    'fc0ca632218594c643286177f1ba99723947543ffa4cb19b56333d1f9516cfe1',
  );
});
