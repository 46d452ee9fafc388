import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../errors';

/**
 * One value for every row of a batch, times `factor`, rounded to float32 after the product as the references do.
 * @returns `[rows]`
 */
export function perRow(value: number | readonly number[], rows: number, factor = 1): tf.Tensor1D {
  const values = typeof value === 'number' ? [value] : value;
  if (values.length !== 1 && values.length !== rows) {
    throw new ShapeError(`A batch of ${rows} was given ${values.length} times or guidance values.`, {
      hint: `Give one value, or ${rows}.`,
    });
  }
  const row = (i: number): number => Math.fround(Math.fround(values[values.length === 1 ? 0 : i] as number) * factor);
  return tf.tensor1d(Float32Array.from({ length: rows }, (_, i) => row(i)));
}
