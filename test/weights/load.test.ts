import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { memoryFile } from '../../src/io/byte-file';
import { openModelFolderAt, openSafetensorsAt } from '../../src/weights/disk';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { loadStore } from '../../src/weights/load';
import { memoryStore, syntheticStore } from '../../src/weights/memory-store';
import { linear, type Parameter, type ParameterTable, plain, repeated, vector } from '../../src/weights/parameters';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import { describeOnBackends } from '../support/backends';

const fixtures = join(__dirname, '../fixtures/checkpoints');

const kernel = (name: string, shape: number[], layout: Parameter['layout']): Parameter => ({ name, shape, layout });
const table: ParameterTable = [
  ...linear('proj', 5, 70),
  kernel('image.weight', [3, 2, 4, 5], 'conv2d'),
  kernel('video.weight', [3, 2, 2, 4, 5], 'conv3d'),
  plain('table', [1, 6, 4]),
  ...repeated('blocks', 2, () => linear('mlp', 3, 2)),
];

/** 0, 1, 2, … in the shape of every parameter. */
const values = new Map(
  table.map(({ name, shape }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return [name, { shape, data: Float32Array.from({ length: size }, (_, i) => i) }];
  }),
);

function checkpoint(change: (tensors: Map<string, TensorToWrite>) => void = () => {}) {
  const tensors = new Map<string, TensorToWrite>(
    [...values].map(([name, value]) => [name, { dtype: 'F32', ...value }]),
  );
  change(tensors);
  return safetensorsSource(memoryFile('test.safetensors', encodeSafetensors(tensors)));
}

describeOnBackends('loading', () => {
  test('kernels are laid out as tfjs itself would transpose them', async () => {
    const before = tf.memory().numTensors;
    const store = await loadStore(await checkpoint(), table);
    for (const { name, shape, layout } of table) {
      const order = { plain: undefined, matrix: [1, 0], conv2d: [2, 3, 1, 0], conv3d: [2, 3, 4, 1, 0] }[layout];
      const stored = tf.tensor(values.get(name)!.data, [...shape]);
      const expected = order ? tf.transpose(stored, order) : stored;
      const loaded = store.resident.tensor(name);
      expect(loaded.shape).toEqual(expected.shape);
      expect(await loaded.data()).toEqual(await expected.data());
      tf.dispose([stored, expected]);
    }
    expect(store.bytes).toBe((350 + 70 + 120 + 240 + 24 + 2 * 8) * 4);
    store.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a matrix larger than one slice is laid out right', async () => {
    const [rows, columns] = [1500, 1501];
    const weight = Float32Array.from({ length: rows * columns }, (_, i) => i % 65_537);
    const bytes = encodeSafetensors(new Map([['big.weight', { dtype: 'F32', shape: [rows, columns], data: weight }]]));
    const store = await loadStore(
      await safetensorsSource(memoryFile('big', bytes)),
      linear('big', columns, rows, false),
    );
    const loaded = await store.resident.tensor('big.weight').data();
    let wrong = 0;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        if (loaded[column * rows + row] !== weight[row * columns + column]) wrong++;
      }
    }
    expect(wrong).toBe(0);
    store.dispose();
  });

  test('parameters of blocks are handed out by use only', async () => {
    const store = await loadStore(await checkpoint(), table, { blocks: ['blocks.0', 'blocks.1'] });
    expect(store.resident.has('blocks.0.mlp.bias')).toBe(false);
    expect(store.resident.at('proj').has('weight')).toBe(true);
    expect(await store.use('blocks.1', params => params.at('mlp').tensor('weight').shape)).toEqual([3, 2]);
    expect(() => store.resident.at('blocks.1').tensor('mlp.bias')).toThrow('blocks.1.mlp.bias');
    await expect(store.use('blocks.1', params => params.tensor('mlp.scale'))).rejects.toThrow('blocks.1.mlp.scale');
    store.dispose();
    expect(() => store.resident.tensor('proj.weight')).toThrow('proj.weight is not in memory');
  });

  test.each<[string, string, (tensors: Map<string, TensorToWrite>) => void]>([
    [
      'missing_key',
      'lacks blocks.1.mlp.bias, proj.bias',
      t => ['proj.bias', 'blocks.1.mlp.bias'].map(n => t.delete(n)),
    ],
    ['unexpected_key', 'lora.up', t => t.set('lora.up', { dtype: 'U8', shape: [1], data: Uint8Array.of(1) })],
    ['shape_mismatch', 'table', t => t.set('table', { ...t.get('table')!, shape: [6, 4] })],
    ['non_finite', 'mlp.weight in test.safetensors holds NaN (element 4)', t => spoil(t, 'blocks.0.mlp.weight')],
    ['non_finite', 'table in test.safetensors holds NaN (element 4)', t => spoil(t, 'table')],
  ])('%s is refused and nothing stays in memory', async (fault, mention, change) => {
    const before = tf.memory().numTensors;
    const sorted = table.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const error = await loadStore(await checkpoint(change), sorted).catch((e: unknown) => e);
    expect(error).toMatchObject({ fault, message: expect.stringContaining(mention) });
    expect(tf.memory().numTensors).toBe(before);
  });

  test('what is ignored and what is not checked', async () => {
    const source = await checkpoint(tensors => {
      spoil(tensors, 'table');
      tensors.set('lora.up', { dtype: 'U8', shape: [1], data: Uint8Array.of(1) });
    });
    (await loadStore(source, table, { ignore: [/^lora\./], checkFinite: false })).dispose();
  });

  test('a store over values in memory is the same as a loaded one', async () => {
    const [loaded, held] = [await loadStore(await checkpoint(), table), memoryStore(table, values)];
    for (const { name } of table) {
      expect(await held.resident.tensor(name).data()).toEqual(await loaded.resident.tensor(name).data());
    }
    loaded.dispose();
    held.dispose();
    expect(() => memoryStore(table, new Map([...values].slice(1)))).toThrow('lacks proj.weight');
  });

  test('made-up weights: small, norms near one, the same for a seed whatever the order', async () => {
    const big = [...linear('a', 100, 100), vector('norm1.weight', 1000), vector('attn.norm_q.weight', 1000)];
    const [one, two] = [syntheticStore(big, 7), syntheticStore(big.toReversed(), 7)];
    for (const [name, mean, deviation] of [
      ['a.weight', 0, 0.02],
      ['norm1.weight', 1, 0.1],
    ] as const) {
      const data = await one.resident.tensor(name).data<'float32'>();
      expect(data).toEqual(await two.resident.tensor(name).data());
      const average = data.reduce((a, b) => a + b, 0) / data.length;
      expect(average).toBeCloseTo(mean, 1);
      expect(Math.sqrt(data.reduce((a, b) => a + (b - average) ** 2, 0) / data.length)).toBeCloseTo(deviation, 2);
    }
    expect((await one.resident.tensor('attn.norm_q.weight').data())[0]).toBeGreaterThan(0.5);
    one.dispose();
    two.dispose();
  });
});

function spoil(tensors: Map<string, TensorToWrite>, name: string): void {
  const { shape } = tensors.get(name)!;
  const data = Float32Array.from(values.get(name)!.data);
  data[4] = Number.NaN;
  tensors.set(name, { dtype: 'F32', shape, data });
}

describe('checkpoints as published', () => {
  test.each(['single-fp32', 'sharded-fp32', 'bf16', 'fp16', 'mixed-dtypes'])(
    '%s holds the expected weights',
    async name => {
      const { source, className } = await openModelFolderAt(join(fixtures, name, 'transformer'));
      const expected = await openSafetensorsAt(join(fixtures, name, 'io.safetensors'));
      expect(className).toBe('WanTransformer3DModel');
      expect(source.names).toHaveLength(69);
      const weights = expected.names.filter(key => key.startsWith('out.weight/'));
      expect(weights).toHaveLength(7);
      for (const key of weights) {
        expect(await source.read(key.slice('out.weight/'.length))).toEqual(await expected.read(key));
      }
      await source.close();
      await expected.close();
    },
  );

  test('shards and the single file hold the same tensors', async () => {
    const [single, sharded] = await Promise.all(
      ['single-fp32', 'sharded-fp32'].map(name => openModelFolderAt(join(fixtures, name, 'transformer'))),
    );
    expect(sharded!.source.names).toEqual(single!.source.names);
    for (const name of single!.source.names) {
      expect(await sharded!.source.readRaw(name)).toEqual(await single!.source.readRaw(name));
    }
    await single!.source.close();
    await sharded!.source.close();
  });

  test('the only variant is taken, and of several the one that is asked for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ertacache-variant-'));
    const half = encodeSafetensors(new Map([['x', { dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c00) }]]));
    await writeFile(join(folder, 'config.json'), '{"architectures": ["X"]}');
    await writeFile(join(folder, 'model.fp16.safetensors'), half);
    const read = async (options = {}): Promise<unknown[]> => {
      const { source, className } = await openModelFolderAt(folder, options);
      const values = await source.read('x');
      await source.close();
      return [className, ...values];
    };
    expect(await read()).toEqual(['X', 1]);
    const other = encodeSafetensors(new Map([['x', { dtype: 'F16', shape: [1], data: Uint16Array.of(0x4000) }]]));
    await writeFile(join(folder, 'model.bf16.safetensors'), other);
    await expect(openModelFolderAt(folder)).rejects.toMatchObject({
      fault: 'missing_weights',
      hint: expect.stringContaining('model.fp16.safetensors'),
    });
    expect(await read({ variant: 'fp16' })).toEqual(['X', 1]);
    expect(await read({ variant: 'bf16' })).toEqual(['X', 2]);
    await rm(folder, { recursive: true });
  });
});
