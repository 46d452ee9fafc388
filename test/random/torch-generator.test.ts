import { resolve } from 'node:path';
import fc from 'fast-check';
import { roundToBfloat16 } from '../../src/random/bfloat16';
import { type DrawType, type TorchGenerator, torchGenerator } from '../../src/random/torch-generator';
import { maxAbsDifference, readGolden, readGoldenCase } from '../support/golden';

const folder = resolve(__dirname, '../fixtures/random/torch_cpu');

interface Draw {
  name: string;
  seed: number;
  draw: number;
  shape: number[];
  dtype: string;
}

interface GoldenCase {
  call: Draw[];
  suggested_max_abs: number;
}

test('every draw is the one PyTorch makes, in order, from one generator per seed', () => {
  const expected = readGolden(folder);
  const { call, suggested_max_abs: tolerance } = readGoldenCase<GoldenCase>(folder);
  expect(call.length).toBe([...expected.keys()].filter(name => name.startsWith('out.')).length);

  const running = new Map<number, TorchGenerator>();
  for (const { name, seed, draw, shape, dtype } of call) {
    const type: DrawType = dtype === 'float32' ? 'float32' : 'bfloat16';
    const generator = type === 'float32' ? (running.get(seed) ?? torchGenerator(seed)) : torchGenerator(seed);
    if (type === 'float32') running.set(seed, generator);
    const error = maxAbsDifference(generator.normal(shape, type), expected.get(name)!.data);
    expect({ name, draw, close: error <= tolerance }).toEqual({ name, draw, close: true });
  }
});

test('the raw stream is the Mersenne Twister of the reference implementation', () => {
  const generator = torchGenerator(5489);
  expect([generator.random32(), generator.random32(), generator.random32()]).toEqual([
    3499211612, 581869302, 3890346734,
  ]);
  let value = 0;
  const ten = torchGenerator(5489);
  for (let i = 0; i < 10_000; i++) value = ten.random32();
  expect(value).toBe(4123659995);
  expect(torchGenerator(5489).random64()).toBe((3499211612n << 32n) | 581869302n);
});

test('uniform values stay in [0, 1)', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), seed => {
      const generator = torchGenerator(seed);
      const values = [generator.uniformFloat(), generator.uniformDouble()];
      return values.every(v => v >= 0 && v < 1);
    }),
  );
});

test('only the low 32 bits of a seed count, and negative seeds wrap', () => {
  expect(torchGenerator(1n << 32n).random32()).toBe(torchGenerator(0).random32());
  expect(torchGenerator(-1).random32()).toBe(torchGenerator(0xffffffff).random32());
});

test('a large draw has the moments of a standard normal, and an empty one is empty', () => {
  const values = torchGenerator(7).normal([100, 1001]);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(0.01);
  expect(Math.abs(variance - 1)).toBeLessThan(0.02);
  expect(torchGenerator(7).normal([0, 4]).length).toBe(0);
});

test('seeds and shapes that cannot be are refused', () => {
  expect(() => torchGenerator(1.5)).toThrow('The seed 1.5 is not a whole number.');
  expect(() => torchGenerator(1n << 64n)).toThrow('does not fit in 64 bits');
  expect(() => torchGenerator(0).normal([2, -1])).toThrow('Noise of shape [2,-1] cannot be drawn.');
});

test('bfloat16 rounding is to nearest, ties to even, and keeps NaN', () => {
  expect([1.00390625, 1.01171875, -2, Number.NaN].map(roundToBfloat16)).toEqual([1, 1.015625, -2, Number.NaN]);
});
