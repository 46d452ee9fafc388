import * as tf from '@tensorflow/tfjs-core';
import { memoryFile } from '../../src/io/byte-file';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { loadStore } from '../../src/weights/load';
import { packedStore } from '../../src/weights/packed-store';
import type { ParameterTable } from '../../src/weights/parameters';
import { renamedSource } from '../../src/weights/renamed-source';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import { streamedStore } from '../../src/weights/streamed-store';
import { describeOnBackends } from '../support/backends';

const table: ParameterTable = [
  { name: 'blocks.0.q.weight', shape: [2, 3], layout: 'matrix' },
  { name: 'blocks.0.k.weight', shape: [2, 3], layout: 'matrix' },
  { name: 'blocks.0.mod.weight', shape: [4, 2], layout: 'matrix' },
  { name: 'blocks.0.table.weight', shape: [2, 2], layout: 'plain' },
];
const blocks = ['blocks.0'];
const layout = {
  marker: 'layers.0.qkv.weight',
  groups: [{ theirs: 'layers', ours: 'blocks', modules: { qkv: ['q', 'k'], mod: { swapped: 'mod' }, table: 'table' } }],
};

/** Ones and twos in another type, each row with a scale of its own. */
async function source(dtype: 'F8_E4M3' | 'F8_E5M2' | 'BF16') {
  const one = { F8_E4M3: 0x38, F8_E5M2: 0x3c, BF16: 0x3f80 }[dtype];
  const two = { F8_E4M3: 0x40, F8_E5M2: 0x40, BF16: 0x4000 }[dtype];
  const codes = (...shape: [number, number]): TensorToWrite => {
    const values = Array.from({ length: shape[0] * shape[1] }, (_, i) => (i % 2 === 0 ? one : two));
    return { dtype, shape, data: dtype === 'BF16' ? Uint16Array.from(values) : Uint8Array.from(values) };
  };
  const scales = (...values: number[]): TensorToWrite => ({
    dtype: 'F32',
    shape: [values.length, 1],
    data: Float32Array.from(values),
  });
  const tensors = new Map<string, TensorToWrite>([
    ['layers.0.qkv.weight', codes(4, 3)],
    ['layers.0.qkv.weight_scale', scales(1, 10, 100, 1000)],
    ['layers.0.mod.weight', codes(4, 2)],
    ['layers.0.mod.weight_scale', scales(3, 5, 7, 11)],
    ['layers.0.table.weight', codes(2, 2)],
    ['layers.0.table.weight_scale', scales(0.5, -1)],
  ]);
  const stored = await safetensorsSource(memoryFile('made', encodeSafetensors(tensors)));
  return renamedSource(stored, table, layout, 'made');
}

const expected = {
  'q.weight': [1, 20, 2, 10, 1, 20],
  'k.weight': [100, 2000, 200, 1000, 100, 2000],
  'mod.weight': [7, 11, 3, 5, 14, 22, 6, 10],
  'table.weight': [0.5, 1, -1, -2],
};

describeOnBackends('a scale for each row', () => {
  // However a layout cuts the rows and moves them, and whoever widens them.
  test.each([
    ['F8_E4M3', 'loaded', loadStore],
    ['F8_E5M2', 'kept as stored', packedStore],
    ['F8_E4M3', 'streamed', streamedStore],
    ['BF16', 'streamed', streamedStore],
  ] as const)('%s, %s', async (dtype, _, open) => {
    const before = tf.memory().numTensors;
    const store = await open(await source(dtype), table, { blocks });
    const found = await store.use('blocks.0', params =>
      Object.fromEntries(Object.keys(expected).map(name => [name, [...params.tensor(name).dataSync()]])),
    );
    expect(found).toEqual(expected);
    store.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
