import * as tf from '@tensorflow/tfjs-core';
import { UnsupportedError } from '../../../src/errors';
import { exportGraph, graphOf } from '../../../src/lab/export/export-graph';
import type { Recordable } from '../../../src/lab/export/record-model';
import { record } from '../../../src/lab/export/trace/record';
import { preset, presetNames } from '../../../src/models/presets';
import { axisOf } from '../../../src/models/signature';
import type { Denoiser, Tokens } from '../../../src/transformer/denoiser';
import { goldenCase } from '../../models/golden';
import { describeOnBackends } from '../../support/backends';

/** A model of one block that does `work` on tokens `[B, N, 4]`. */
function toy(work: (x: tf.Tensor) => tf.Tensor): Recordable {
  return {
    config: {},
    prefix: 'toy/',
    table: [{ name: 'weight', shape: [4], layout: 'plain' }],
    signature: {
      sizes: () => ({ batch: axisOf('sample', 0), tokens: axisOf('sample', 1) }),
      call: (_, { batch, tokens }, build) => ({
        sample: build.input('sample', [batch!.value, tokens!.value, 4]),
        timestep: build.input('timestep', [batch!.value]),
        condition: {},
      }),
    },
    create: (weights): Denoiser => ({
      weights,
      prepare: () => ({}),
      embed: (x, timestep) => ({
        tokens: { hidden: tf.add(x, tf.reshape(timestep as tf.Tensor, [-1, 1, 1])) },
        shared: {},
      }),
      blocks: [
        {
          name: 'block',
          run: (_, { hidden }: Tokens) => ({ hidden: work(hidden) }),
        },
      ],
      head: ({ tokens }) => tf.mul(tokens.hidden, weights.resident.tensor('weight')),
      signal: async () => tf.scalar(0),
    }),
  };
}

describeOnBackends('recording', () => {
  test('leaves the process as it was: the backend, its tensors, the kernels', () => {
    const [backend, memory, kernels] = [tf.getBackend(), tf.memory(), tf.getKernelsForBackend(tf.getBackend()).length];
    const kept = tf.tensor1d([1, 2, 3]);
    const { className, config } = goldenCase('transformers', 'flux_guidance');
    exportGraph(className, config, { prefix: 'transformer/' });
    expect(tf.getBackend()).toBe(backend);
    expect(tf.memory()).toMatchObject({ numTensors: memory.numTensors + 1, numDataBuffers: memory.numDataBuffers + 1 });
    expect(tf.getKernelsForBackend(backend)).toHaveLength(kernels);
    expect(tf.getKernelsForBackend('ertacache-recorder')).toHaveLength(0);
    expect(Array.from(tf.add(kept, 1).dataSync())).toEqual([2, 3, 4]);
    kept.dispose();
  });

  test.each<[string, (x: tf.Tensor) => tf.Tensor, string]>([
    [
      'an operation that no graph holds',
      x => tf.topk(x, 4).values,
      'uses the operation TopK, which cannot be exported',
    ],
    ['values that are read', x => tf.mul(x, x.dataSync()[0]!), 'reads values while it runs'],
    ['other operations at other sizes', x => (x.shape[1] === 2 ? x : tf.square(x)), 'runs other operations in block'],
    ['a table of the size', x => tf.add(x, tf.reshape(tf.range(0, x.shape[1]!), [-1, 1])), 'computes a table in block'],
    ['a shape that is no sum of products', x => tf.tile(x, [1, x.shape[1]! ** 2, 1]), 'makes a shape in block'],
  ])('refuses %s in one sentence, and leaves nothing behind', (_, work, message) => {
    const [backend, before] = [tf.getBackend(), tf.memory().numTensors];
    expect(() => graphOf(toy(work))).toThrow(message);
    expect(() => graphOf(toy(work))).toThrow(UnsupportedError);
    expect(tf.getBackend()).toBe(backend);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('refuses a tensor that was made before', () => {
    const outside = tf.scalar(2);
    expect(() => graphOf(toy(x => tf.mul(x, outside)))).toThrow('neither a weight nor an input');
    outside.dispose();
  });

  test('notes a constant when it is made, not when its memory is used again', () => {
    const values = Float32Array.of(1, 2);
    const [nodes] = record([
      () => {
        tf.tensor1d(values);
        values.fill(0);
      },
    ]);
    expect(nodes![0]!.values).toEqual(Float32Array.of(1, 2));
  });
});

test('sizes that vary are told from the inputs: a reshape of two of them, and constants held once', () => {
  const { topology, constants, signature } = graphOf(
    toy(x => tf.reshape(tf.concat([x, tf.ones(x.shape)], 1), [x.shape[0]!, 2 * x.shape[1]!, 4])),
  );
  const ops = topology.node.map(node => node.op);
  expect(ops).toEqual(expect.arrayContaining(['Shape', 'Fill', 'Reshape', 'ConcatV2']));
  expect(new Set(constants.map(c => c.name)).size).toBe(constants.length);
  expect(Object.keys(signature.inputs)).toEqual(['sample', 'timestep']);
});

/** Types that are transposed in a graph: WebGPU transposes floats only, and fails on others in silence. */
const transposed = (nodes: readonly { readonly op: string; readonly attr?: object }[]): unknown[] => [
  ...new Set(nodes.filter(node => node.op === 'Transpose').map(node => JSON.stringify(node.attr))),
];
const FLOATS = '{"T":{"type":"DT_FLOAT"}}';

test('whole numbers are transposed as floats', () => {
  const { topology } = graphOf(
    toy(x => {
      const rows = tf.cast(tf.slice(x, [0, 0, 0], [1, 2, 4]), 'int32');
      return tf.add(x, tf.sum(tf.cast(tf.transpose(rows, [2, 1, 0]), 'float32')));
    }),
  );
  expect(transposed(topology.node)).toEqual([FLOATS]);
});

test.each(presetNames())('%s is recorded at its own widths, where layers would cut long work into tiles', name => {
  const { transformer } = preset(name);
  const shallow = { ...transformer, num_layers: 1, num_single_layers: 1, depth: 1, depth_double: 2 };
  const { signature, topology } = exportGraph(transformer._class_name, shallow, { prefix: 'transformer/' });
  expect(transposed(topology.node)).toEqual([FLOATS]);
  expect(Object.keys(signature.outputs)).toEqual(['output']);
});
