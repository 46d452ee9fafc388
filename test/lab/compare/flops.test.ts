import * as tf from '@tensorflow/tfjs-core';
import { countFlops, kernelFlops } from '../../../src/lab/compare/flops';
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
});
