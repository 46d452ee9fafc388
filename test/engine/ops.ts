import * as tf from '@tensorflow/tfjs-core';

/** A few operations that every model needs, with results that are known exactly. */
export function defineOpTests(): void {
  test('matMul, also transposed and batched', () => {
    const a = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
    expect(Array.from(tf.matMul(a, a, false, true).dataSync())).toEqual([14, 32, 32, 77]);
    const batched = tf.matMul(tf.reshape(a, [1, 2, 3]), tf.reshape(a, [1, 3, 2]));
    expect(batched.arraySync()).toEqual([
      [
        [22, 28],
        [49, 64],
      ],
    ]);
  });

  test('softmax', () => {
    const [first, second] = tf.softmax(tf.tensor1d([0, Math.log(3)])).dataSync();
    expect(first).toBeCloseTo(0.25, 6);
    expect(second).toBeCloseTo(0.75, 6);
  });

  test('gather with int32 indices', () => {
    const rows = tf.gather(
      tf.tensor2d([
        [1, 2],
        [3, 4],
        [5, 6],
      ]),
      tf.tensor1d([2, 0], 'int32'),
    );
    expect(rows.arraySync()).toEqual([
      [5, 6],
      [1, 2],
    ]);
  });

  test('typed arrays go in and come back as what they are', async () => {
    const floats = tf.tensor(new Float32Array([1.5, -2]));
    const ints = tf.tensor(new Int32Array([7, 8]));
    const bools = tf.tensor([true, false]);
    expect([floats.dtype, ints.dtype, bools.dtype]).toEqual(['float32', 'int32', 'bool']);
    expect(await floats.data()).toEqual(new Float32Array([1.5, -2]));
    expect(floats.dataSync()).toBeInstanceOf(Float32Array);
    expect(tf.add(ints, ints).dataSync()).toEqual(new Int32Array([14, 16]));
    expect(Array.from(bools.dataSync())).toEqual([1, 0]);
    expect(tf.tensor(floats.dataSync()).dtype).toBe('float32');
  });

  test('tidy gives everything back', () => {
    const before = tf.memory().numTensors;
    tf.tidy(() => tf.sum(tf.matMul(tf.ones([4, 4]), tf.ones([4, 4]))).dataSync());
    expect(tf.memory().numTensors).toBe(before);
  });
}
