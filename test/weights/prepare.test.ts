import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../../src/errors';
import { memoryFile } from '../../src/io/byte-file';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { laidOutShape, layOut } from '../../src/weights/layout';
import { memoryStore } from '../../src/weights/memory-store';
import { nativeMaker } from '../../src/weights/native-tensor';
import type { Parameter } from '../../src/weights/parameters';
import { bufferFor, prepareWhole, readPrepared, storedFloats, storedIn } from '../../src/weights/prepare';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import { widenToFloat32 } from '../../src/weights/widen';
import { describeOnBackends } from '../support/backends';

const parameters: readonly Parameter[] = [
  { name: 'plain', shape: [7], layout: 'plain' },
  { name: 'none', shape: [0, 4], layout: 'matrix' },
  { name: 'matrix', shape: [33, 70], layout: 'matrix' },
  { name: 'kernel', shape: [5, 3, 2, 4], layout: 'conv2d' },
  // More than a slice, and rows that do not divide it.
  { name: 'large', shape: [1100, 2100], layout: 'matrix' },
];

const sizeOf = ({ shape }: Parameter): number => shape.reduce((a, b) => a * b, 1);

/** Bytes that are finite in every type. */
function bytesFor(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(count);
  for (let i = 0; i < count; i++) bytes[i] = (i * 7) % 60;
  return bytes;
}

describeOnBackends('preparing parameters', () => {
  test.each([
    ['F32', 4],
    ['F16', 2],
    ['BF16', 2],
  ] as const)('%s: the same numbers in slices, whole, and from lent memory', async (dtype, width) => {
    const data = new Map(parameters.map(p => [p.name, bytesFor(sizeOf(p) * width)]));
    const written = parameters.map(({ name, shape }): [string, TensorToWrite] => {
      const { buffer } = data.get(name)!;
      const values = { F32: Float32Array, F16: Uint16Array, BF16: Uint16Array }[dtype];
      return [name, { dtype, shape, data: new values(buffer) } as TensorToWrite];
    });
    const source = await safetensorsSource(memoryFile('a.safetensors', encodeSafetensors(new Map(written))));
    const buffer = bufferFor(source, parameters);
    expect(buffer !== undefined).toBe(nativeMaker() !== undefined);
    const before = tf.memory().numTensors;
    for (const parameter of parameters) {
      const { name } = parameter;
      const stored = storedIn(source, name);
      const lent = data.get(name)!.slice();
      const made = [
        await readPrepared(source, parameter, { checkFinite: true }),
        await readPrepared(source, parameter, { checkFinite: true, buffer }),
        prepareWhole(parameter, stored, data.get(name)!.slice()),
        prepareWhole(parameter, stored, lent, { isLent: true }),
      ];
      lent.fill(0xff);
      buffer?.fill(0xff);
      const expected = layOut(widenToFloat32(data.get(name)!.slice(), dtype), parameter);
      for (const tensor of made) {
        expect(tensor.shape).toEqual(laidOutShape(parameter));
        expect(isSame(tensor, expected)).toBe(true);
      }
      tf.dispose(made);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  test('values in memory are copied, and too few of them are refused', () => {
    const matrix: Parameter = { name: 'matrix', shape: [2, 3], layout: 'matrix' };
    const data = Float32Array.of(1, 2, 3, 4, 5, 6);
    const store = memoryStore([matrix], new Map([['matrix', { shape: [2, 3], data }]]));
    data.fill(0);
    expect([...store.resident.tensor('matrix').dataSync()]).toEqual([1, 4, 2, 5, 3, 6]);
    store.dispose();
    const few = new Map([['matrix', { shape: [2, 3], data: data.subarray(1) }]]);
    expect(() => memoryStore([matrix], few)).toThrow(ShapeError);
    expect(() => prepareWhole(matrix, storedFloats('f'), new Uint8Array(7))).toThrow('matrix has 6 values');
  });
});

function isSame(tensor: tf.Tensor, { buffer, byteOffset, byteLength }: Float32Array): boolean {
  const values = tensor.dataSync();
  const found = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return found.equals(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength));
}
