import * as tf from '@tensorflow/tfjs-core';
import { countFlops, kernelFlops } from '../../../src/lab/compare/flops';
import { attention } from '../../../src/nn/attention';
import { linear } from '../../../src/nn/linear';
import { view } from '../../../src/weights/store';
import { describeOnBackends } from '../../support/backends';

test('a product of matrices counts its terms, transposed or in batches', () => {
  const of = (name: string, inputShapes: number[][], output: number[]) =>
    kernelFlops({ name, inputShapes, outputShapes: [output] });
  expect(
    of(
      'BatchMatMul',
      [
        [2, 3, 5],
        [2, 5, 7],
      ],
      [2, 3, 7],
    ),
  ).toBe(2 * 2 * 3 * 5 * 7);
  expect(
    of(
      'BatchMatMul',
      [
        [2, 5, 3],
        [2, 5, 7],
      ],
      [2, 3, 7],
    ),
  ).toBe(2 * 2 * 3 * 5 * 7);
  expect(
    of(
      '_FusedMatMul',
      [
        [1, 3, 5],
        [1, 5, 7],
      ],
      [1, 3, 7],
    ),
  ).toBe(2 * 3 * 5 * 7);
  expect(
    of(
      'Conv2D',
      [
        [1, 8, 8, 3],
        [3, 3, 3, 16],
      ],
      [1, 8, 8, 16],
    ),
  ).toBe(2 * 64 * 16 * 27);
  expect(of('Add', [[4], [4]], [4])).toBe(0);
});

describeOnBackends('counting operations', () => {
  test('is over everything that runs, waits for it, and leaves nothing behind', async () => {
    const before = tf.memory().numTensors;
    const { result, flops } = await countFlops(async () => {
      const product = tf.tidy(() => tf.matMul(tf.ones([4, 6]), tf.ones([6, 5])));
      const [value] = await product.data();
      product.dispose();
      return value;
    });
    expect([result, flops]).toEqual([6, 2 * 4 * 6 * 5]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('counts what layers do with operations of their own', async () => {
    const weights = new Map([
      ['weight', tf.ones([5, 7])],
      ['bias', tf.ones([7])],
    ]);
    const layer = view(weights, '');
    const x = tf.ones([1, 3, 5]);
    const count = async (): Promise<number> => {
      const { flops } = await countFlops(async () => linear(layer, x, { activation: 'geluTanh' }).dispose());
      return flops;
    };
    expect(await count()).toBe(2 * 3 * 5 * 7);
    const heads = tf.ones([1, 4, 2, 8]);
    const { flops } = await countFlops(async () => attention(heads, heads, heads).dispose());
    expect(flops).toBe(2 * 2 * 2 * 4 * 4 * 8);
    tf.dispose([...weights.values(), x, heads]);
  });
});
