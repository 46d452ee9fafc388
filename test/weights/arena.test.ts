import * as tf from '@tensorflow/tfjs-core';
import { arenaFor } from '../../src/weights/arena';
import { dequantise } from '../../src/weights/dequantise';
import { layOut } from '../../src/weights/layout';
import type { Parameter } from '../../src/weights/parameters';
import { blockOf, type StoredType } from '../../src/weights/stored-type';
import { describeOnBackends } from '../support/backends';

const matrix = (...shape: number[]): Parameter => ({ name: 'a.weight', shape, layout: 'matrix' });

/** The second byte of each block keeps its scale a number, of either sign; all codes occur. */
function stored(dtype: 'Q4_0' | 'Q8_0', size: number): Uint8Array<ArrayBuffer> {
  const { elements, bytes: width } = blockOf(dtype);
  return Uint8Array.from({ length: (size / elements) * width }, (_, i) =>
    i % width === 1 ? (i * 37) & 0xbf : (i * 193 + (i >> 8)) & 255,
  );
}

describeOnBackends('an arena of a block', () => {
  // The second shape is more than one piece.
  test.each([
    ['Q4_0', 48, 96],
    ['Q4_0', 5008, 96],
    ['Q8_0', 16, 32],
    ['Q8_0', 2608, 96],
  ] as const)('%s, %i rows of %i: the same values, laid out', async (dtype, rows, columns) => {
    const parameter = matrix(rows, columns);
    const bytes = stored(dtype, rows * columns);
    const before = tf.memory().numTensors;
    const arena = (await arenaFor([[{ parameter, dtype }]]))!;
    const made = arena.make(parameter, dtype, bytes)!;
    expect(made.shape).toEqual([columns, rows]);
    const values = made.dataSync<'float32'>();
    const expected = layOut(dequantise(bytes, dtype), parameter);
    expect(values.findIndex((value, i) => !Object.is(value, expected[i]))).toBe(-1);
    made.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('what is made has places of its own until the arena begins anew', async () => {
    const [parameter, dtype] = [matrix(16, 32), 'Q8_0' as const];
    const wanted = { parameter, dtype };
    const arena = (await arenaFor([[wanted], [wanted, wanted]]))!;
    const others = stored(dtype, 512).map((byte, i) => (i % 34 < 2 ? byte : byte + 1));
    for (let round = 0; round < 2; round++) {
      arena.reset();
      const [first, second] = [arena.make(parameter, dtype, stored(dtype, 512)), arena.make(parameter, dtype, others)];
      expect(arena.make(parameter, dtype, others)).toBeUndefined();
      const [a, b] = [first!, second!].map(tensor => [...tensor.dataSync<'float32'>()]);
      expect(a).toEqual([...layOut(dequantise(stored(dtype, 512), dtype), parameter)]);
      expect(b).toEqual([...layOut(dequantise(others, dtype), parameter)]);
      tf.dispose([first!, second!]);
    }
  });

  test('leaves to others what the kernel does not decode', async () => {
    const none: [StoredType, Parameter][] = [
      ['Q4_0', matrix(17, 32)],
      ['Q4_1', matrix(16, 32)],
      ['F16', matrix(16, 32)],
      ['Q8_0', { ...matrix(32), layout: 'plain' }],
    ];
    expect(await arenaFor([none.map(([dtype, parameter]) => ({ dtype, parameter }))])).toBeUndefined();
    const arena = (await arenaFor([[{ parameter: matrix(64, 64), dtype: 'Q8_0' }]]))!;
    for (const [dtype, parameter] of none) expect(arena.make(parameter, dtype, new Uint8Array(0))).toBeUndefined();
  });
}, ['native']);
