import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../../src/errors';
import { PAGE } from '../../src/io/aligned';
import { memoryFile } from '../../src/io/byte-file';
import { parseConfig } from '../../src/io/parse-config';
import { produceForward } from '../../src/lab/verify/transformers';
import { familyOf } from '../../src/models/families';
import { knownTables } from '../../src/models/known-tables';
import type { Params } from '../../src/nn/params';
import { convertModel } from '../../src/weights/convert';
import { openModelAt, openModelFolderAt, openSafetensorsAt } from '../../src/weights/disk';
import { DTYPE_BYTES, type DType } from '../../src/weights/dtype';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { laidOutShape, layOut } from '../../src/weights/layout';
import { loadStore } from '../../src/weights/load';
import type { Merges } from '../../src/weights/lora/merge';
import { nativeMaker } from '../../src/weights/native-tensor';
import { componentOf } from '../../src/weights/open-model';
import { linear, lookupTable, type ParameterTable, plain, repeated, vector } from '../../src/weights/parameters';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import type { TensorSource } from '../../src/weights/source';
import { streamedStore } from '../../src/weights/streamed-store';
import { widenToFloat32 } from '../../src/weights/widen';
import { goldenCases, outcome } from '../models/golden';
import { describeOnBackends } from '../support/backends';

const cases = goldenCases('transformers');
const checkpoints = join(__dirname, '../fixtures/checkpoints');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ertacache-stream-'));
});
afterEach(() => rm(folder, { recursive: true }));

const table: ParameterTable = [
  vector('scale', 3),
  lookupTable('words', 9, 2),
  ...repeated('blocks', 3, () => [...linear('mlp', 5, 7), plain('table', [1, 2, 3])]),
];
const blocks = ['blocks.0', 'blocks.1', 'blocks.2'];

/** 0, 1, 2, … in every parameter, as the given type. */
function source(dtype: DType = 'F32', change?: (tensors: Map<string, TensorToWrite>) => void): Promise<TensorSource> {
  const tensors = new Map(
    table.map(({ name, shape }): [string, TensorToWrite] => {
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i);
      // The upper half of a float32 is the bfloat16.
      const half = new Uint16Array(values.buffer).filter((_, i) => i % 2 === 1);
      return [name, { dtype, shape, data: dtype === 'BF16' ? half : values }];
    }),
  );
  change?.(tensors);
  return safetensorsSource(memoryFile('made', encodeSafetensors(tensors)));
}

describeOnBackends('blocks left on disk', () => {
  test.each(cases)('$name: every output of the reference, and nothing leaks', async golden => {
    const known = familyOf(golden.className);
    const config = parseConfig(known.schema, golden.config, 'config.json');
    const before = tf.memory().numTensors;
    const weights = await streamedStore(
      await openSafetensorsAt(join(golden.folder, 'weights.safetensors')),
      known.parameters(config),
      { blocks: known.blockNames(config) },
    );
    const held = tf.memory().numTensors;
    // Twice: what was read ahead, and buffers that are used again.
    for (let pass = 0; pass < 2; pass++) {
      const { missing, ratios } = await outcome(golden, (_, produce) =>
        produceForward(golden, known.create(config, weights), produce),
      );
      expect(missing).toEqual([]);
      expect(ratios.filter(r => !(r.ratio <= 1))).toEqual([]);
      expect(tf.memory().numTensors).toBe(held);
    }
    weights.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(['single-fp32', 'sharded-fp32', 'bf16', 'fp16', 'mixed-dtypes'])(
    '%s: the same tensors as in memory, converted or not',
    async name => {
      const from = join(checkpoints, name, 'transformer');
      await convertModel(from, join(folder, 'half'), { dtype: 'float16', shardBytes: 999, tableOf: knownTables });
      await convertModel(from, join(folder, 'byte'), { dtype: 'uint8', tableOf: knownTables });
      for (const path of [from, join(folder, 'half'), join(folder, 'byte')]) {
        const { className, config, source } = componentOf(await openModelAt(path), 'transformer');
        const known = familyOf(className);
        const parsed = parseConfig(known.schema, config, path);
        const blocks = known.blockNames(parsed);
        const resident = await loadStore(source, known.parameters(parsed), { blocks });
        source.bypassCache();
        const streamed = await streamedStore(source, known.parameters(parsed), { blocks });
        for (const [i, block] of blocks.entries()) {
          const read = async (store: typeof streamed) =>
            store.use(
              block,
              params =>
                known
                  .parameters(parsed)
                  .filter(p => p.name.startsWith(`${block}.`))
                  .map(p => params.tensor(p.name.slice(block.length + 1)))
                  .map(t => [t.shape, [...t.dataSync()]]),
              blocks[i + 1],
            );
          expect(await read(streamed)).toEqual(await read(resident));
        }
        resident.dispose();
        streamed.dispose();
      }
    },
  );

  test.each(['F32', 'BF16'] as const)('%s: two blocks in memory at most, whatever the order of use', async dtype => {
    const before = tf.memory().numTensors;
    const store = await streamedStore(await source(dtype), table, { blocks });
    const held = tf.memory().numTensors;
    expect(held - before).toBe(1);
    expect(store.resident.has('words')).toBe(false);
    const sum = (block: string, next?: string) =>
      store.use(
        block,
        params => {
          expect(tf.memory().numTensors).toBe(held + 3);
          return tf.tidy(() => tf.sum(params.tensor('mlp.weight')).dataSync()[0]);
        },
        next,
      );
    const used = [
      sum('blocks.0', 'blocks.1'),
      sum('blocks.2', 'blocks.0'),
      sum('blocks.1'),
      sum('blocks.1', 'blocks.1'),
    ];
    expect(await Promise.all(used)).toEqual([595, 595, 595, 595]);
    expect(tf.memory().numTensors).toBe(held);
    const stored = store.bytes - (3 + 35 + 7 + 6) * 4;
    const packed = 2 * (35 + 7 + 6) * DTYPE_BYTES[dtype];
    expect(stored).toBeGreaterThanOrEqual(packed);
    // Each of three parameters may begin anywhere in a page.
    expect(stored).toBeLessThan(packed + 2 * 3 * PAGE);
    const rows = await store.rows!('words', [8, 0, 8]);
    expect([...rows.dataSync()]).toEqual([16, 17, 0, 1, 16, 17]);
    rows.dispose();
    store.dispose();
    store.dispose();
    expect(tf.memory().numTensors).toBe(before);
    await expect(sum('blocks.0')).rejects.toThrow(CheckpointError);
  });

  test('what the work makes of a block outlives it; an error of the work is passed on', async () => {
    const store = await streamedStore(await source(), table, { blocks });
    const held = tf.memory().numTensors;
    const kept = await store.use('blocks.0', params => params.tensor('mlp.bias').clone(), 'blocks.1');
    await store.use('blocks.1', () => {});
    expect([...kept.dataSync()]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    kept.dispose();
    const failing = store.use('blocks.2', () => {
      throw new RangeError('mine');
    });
    await expect(failing).rejects.toThrow('mine');
    await expect(store.use('blocks', () => 0)).rejects.toThrow('blocks');
    expect(tf.memory().numTensors).toBe(held);
    store.dispose();
  });

  test('what LoRAs change is asked for with the block; where it fails, so does the use of the block alone', async () => {
    const asked: string[] = [];
    const merges: Merges = {
      async of({ name }) {
        asked.push(name);
        if (name === 'blocks.2.mlp.bias') throw new RangeError('no LoRA');
        return weights => {
          const merged = tf.add(weights, 1);
          weights.dispose();
          return merged;
        };
      },
      close: async () => {},
    };
    const store = await streamedStore(await source(), table, { blocks, merges });
    const held = tf.memory().numTensors;
    const bias = (params: Params): number[] => {
      expect(asked).toContain('blocks.1.mlp.bias');
      return [...params.tensor('mlp.bias').dataSync()];
    };
    expect(await store.use('blocks.0', bias, 'blocks.1')).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(await store.use('blocks.1', bias, 'blocks.2')).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await expect(store.use('blocks.2', bias)).rejects.toThrow('no LoRA');
    // Read ahead, and not used.
    await store.use('blocks.1', bias, 'blocks.2');
    await store.use('blocks.0', bias, 'blocks.2');
    expect(tf.memory().numTensors).toBe(held);
    store.dispose();
  });

  test('a value that is not finite is found when its block is first used', async () => {
    const bad = await source('F32', tensors => {
      const weight = tensors.get('blocks.1.mlp.weight')!;
      (weight.data as Float32Array)[30] = Number.NaN;
    });
    const store = await streamedStore(bad, table, { blocks });
    const held = tf.memory().numTensors;
    await store.use('blocks.0', () => {}, 'blocks.1');
    const error = await store.use('blocks.1', () => {}).catch(e => e);
    expect(error).toMatchObject({ fault: 'non_finite', message: expect.stringContaining('element 30') });
    expect(error.message).toContain('blocks.1.mlp.weight');
    expect(tf.memory().numTensors).toBe(held);
    store.dispose();
  });

  test('a file that is cut while it is in use', async () => {
    const path = join(folder, 'model.safetensors');
    const tensors = table.map(({ name, shape }): [string, TensorToWrite] => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      return [name, { dtype: 'F32', shape, data }];
    });
    await writeFile(path, encodeSafetensors(new Map(tensors)));
    const store = await streamedStore(await openSafetensorsAt(path), table, { blocks });
    const held = tf.memory().numTensors;
    await truncate(path, 700);
    const outcomes = [];
    for (const [i, block] of blocks.entries()) {
      outcomes.push(await store.use(block, () => 'read', blocks[i + 1]).catch(error => error.fault));
    }
    expect(outcomes).toContain('truncated_data');
    expect(tf.memory().numTensors).toBe(held);
    store.dispose();
  });

  test('keys that do not fit the table are refused before anything is read', async () => {
    const before = tf.memory().numTensors;
    const opened = await openModelFolderAt(join(checkpoints, 'single-fp32', 'transformer'));
    await expect(streamedStore(opened.source, table, { blocks })).rejects.toMatchObject({ fault: 'missing_key' });
    await opened.source.close();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describeOnBackends('widening by TensorFlow', () => {
  test('gives every value that JavaScript gives, NaN and infinities included', () => {
    const make = nativeMaker()!;
    expect(make).toBeDefined();
    const all = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
    for (const dtype of ['F16', 'BF16'] as const) {
      for (const parameter of [
        { name: 'm', shape: [256, 256], layout: 'matrix' },
        { name: 'v', shape: [0x10000], layout: 'plain' },
        { name: 'k', shape: [16, 8, 32, 16], layout: 'conv2d' },
        { name: 'k3', shape: [4, 4, 8, 32, 16], layout: 'conv3d' },
      ] as const) {
        const before = tf.memory().numTensors;
        const bytes = new Uint8Array(all.buffer);
        const made = make(parameter, dtype, bytes)!;
        const expected = layOut(widenToFloat32(bytes, dtype), parameter);
        expect(made.shape).toEqual(laidOutShape(parameter));
        const values = made.dataSync<'float32'>();
        expect(values.findIndex((value, i) => !Object.is(value, expected[i]))).toBe(-1);
        made.dispose();
        expect(tf.memory().numTensors).toBe(before);
      }
    }
  });

  test('leaves what it would not copy, and types it does not know, to JavaScript', () => {
    const make = nativeMaker()!;
    const ask = (dtype: DType, shape: number[], layout: 'plain' | 'matrix') => {
      const size = shape.reduce((a, b) => a * b, 1) * DTYPE_BYTES[dtype];
      return make({ name: 'x', shape, layout }, dtype, new Uint8Array(size));
    };
    expect(ask('F32', [1, 8], 'matrix')).toBeUndefined();
    expect(ask('F32', [8], 'plain')).toBeUndefined();
    expect(ask('F64', [2, 2], 'matrix')).toBeUndefined();
    expect(ask('F16', [0, 2], 'matrix')).toBeUndefined();
  });
}, ['native']);
