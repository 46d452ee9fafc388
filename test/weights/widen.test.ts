import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { openSafetensorsAt } from '../../src/weights/disk';
import { narrowToFloat16 } from '../../src/weights/narrow';
import { widenBfloat16, widenFloat16, widenToFloat32, widenToInt32 } from '../../src/weights/widen';

const folder = join(__dirname, '../fixtures/checkpoints/dtypes');
const viewOf = (name: string) => (raw: Uint8Array<ArrayBuffer>) => {
  if (name === 'i32') return new Int32Array(raw.buffer);
  if (name === 'i16') return new Int16Array(raw.buffer);
  return name === 'i8' ? new Int8Array(raw.buffer) : raw;
};
const bits = (values: Float32Array) => [...new Uint32Array(values.buffer, values.byteOffset, values.length)];

test.each(['f16', 'bf16'])('%s widens bit by bit, subnormals, infinities and NaN patterns included', async name => {
  const values = await openSafetensorsAt(join(folder, 'values.safetensors'));
  const expected = await openSafetensorsAt(join(folder, 'expected.safetensors'));
  const stored = await values.readRaw(name);
  expect([...new Uint16Array(stored.buffer)]).toEqual(
    [...(await expected.readInts(`${name}.bits`))].map(b => b & 0xffff),
  );
  // The reference converted its last few numbers by another routine, which gives one NaN for all.
  const anyNan = 0x7fffffff;
  const wanted = bits(await expected.read(`${name}.f32`));
  const found = bits(await values.read(name));
  expect(found.map((b, i) => (wanted[i] === anyNan && (b & 0x7fffffff) > 0x7f800000 ? anyNan : b))).toEqual(wanted);
  await values.close();
  await expected.close();
});

test('every type of the format is read', async () => {
  const source = await openSafetensorsAt(join(folder, 'values.safetensors'));
  const shapes = Object.fromEntries(source.names.map(name => [name, source.entry(name).shape]));
  const stated = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as {
    tensors: Record<string, { shape: number[] }>;
  };
  expect(shapes).toEqual(Object.fromEntries(Object.entries(stated.tensors).map(([name, { shape }]) => [name, shape])));
  for (const name of source.names) expect((await source.read(name)).length).toBe(source.entry(name).size);
  for (const name of ['i32', 'i16', 'i8', 'u8', 'bool', 'odd_u8']) {
    expect([...(await source.readInts(name))]).toEqual([...(await source.readRaw(name).then(viewOf(name)))]);
  }
  const raw = await source.readRaw('f32');
  expect(bits(await source.read('f32'))).toEqual([...new Uint32Array(raw.buffer)]);
  expect([...(await source.read('f32', { start: 3, count: 2 }))]).toEqual([...(await source.read('f32'))].slice(3, 5));
  await source.close();
});

test('integers that float32 or int32 cannot hold', () => {
  const bytes = (...values: bigint[]) => new Uint8Array(BigInt64Array.from(values).buffer);
  // 2^53 + 2^29 + 1 lies just above the middle of two float32; through a double it would fall to the even one below.
  const hard = 2n ** 53n + 2n ** 29n + 1n;
  const [up, down] = widenToFloat32(bytes(hard, -hard), 'I64');
  expect([up, down]).toEqual([2 ** 53 + 2 ** 30, -(2 ** 53) - 2 ** 30]);
  expect([...widenToInt32(bytes(-(2n ** 31n), 2n ** 31n - 1n), 'I64', 'ids')]).toEqual([-(2 ** 31), 2 ** 31 - 1]);
  expect(() => widenToInt32(bytes(2n ** 31n), 'I64', 'ids')).toThrow('ids holds the integer 2147483648');
  expect(() => widenToInt32(bytes(1n), 'F64', 'ids')).toThrow('ids holds F64 values');
});

test('unaligned bytes are widened too', () => {
  const buffer = new Uint8Array(9);
  buffer.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 1);
  expect([...widenToFloat32(buffer.subarray(1), 'F32')]).toEqual([1.5, -2]);
});

test('every float16 comes back from float32 with its own bits', () => {
  const all = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
  const back = narrowToFloat16(widenFloat16(all));
  const quiet = (half: number) => ((half & 0x7c00) === 0x7c00 && (half & 0x3ff) !== 0 ? half | 0x200 : half);
  expect([...back]).toEqual([...all].map(quiet));
});

test('narrowing to float16 takes the nearest value, ties to even', () => {
  const table = widenFloat16(Uint16Array.from({ length: 0x7c00 }, (_, i) => i));
  const finite = fc.float({ min: Math.fround(-65519), max: Math.fround(65519), noNaN: true });
  fc.assert(
    fc.property(finite, value => {
      const half = narrowToFloat16(Float32Array.of(value))[0]!;
      const near = [half - 1, half, half + 1]
        .map(h => h & 0x7fff)
        .filter(h => h < 0x7c00 && Math.abs(h - (half & 0x7fff)) < 2);
      const errors = near.map(h => Math.abs(table[h]! - Math.abs(value)));
      const own = Math.abs(table[half & 0x7fff]! - Math.abs(value));
      return own === Math.min(...errors) && (errors.filter(e => e === own).length === 1 || (half & 1) === 0);
    }),
    { numRuns: 5000 },
  );
  const [big, infinite, small] = narrowToFloat16(Float32Array.of(65519, 65520, 2 ** -25));
  expect([big, infinite, small]).toEqual([0x7bff, 0x7c00, 0]);
});

test('bfloat16 is the upper half of a float32', () => {
  fc.assert(
    fc.property(fc.uint16Array(), halves => {
      expect(bits(widenBfloat16(halves))).toEqual([...halves].map(half => (half << 16) >>> 0));
    }),
  );
});
