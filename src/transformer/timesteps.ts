import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../errors';

/** A value for every row of a batch, or one for all: numbers, or a tensor `[B]` or `[1]` where they are not known yet. */
export type PerRow = number | readonly number[] | tf.Tensor;

/**
 * One value for every row of a batch, times `factor`, rounded to float32 after the product as the references do.
 * @returns `[rows]`; a tensor keeps its shape
 */
export function perRow(value: PerRow, rows: number, factor = 1): tf.Tensor {
  if (value instanceof tf.Tensor) return factor === 1 ? value : tf.mul(value, factor);
  const values = typeof value === 'number' ? [value] : value;
  if (values.length !== 1 && values.length !== rows) {
    throw new ShapeError(`A batch of ${rows} was given ${values.length} times or guidance values.`, {
      hint: `Give one value, or ${rows}.`,
    });
  }
  const row = (i: number): number => Math.fround(Math.fround(values[values.length === 1 ? 0 : i] as number) * factor);
  return tf.tensor1d(Float32Array.from({ length: rows }, (_, i) => row(i)));
}
