import * as tf from '@tensorflow/tfjs-core';
import type { Rope, RopePairs } from '../nn/rope';

/**
 * Angles of several position axes side by side, by tensor operations: `Σ position × frequencies`, where the
 * frequencies of an axis are zero outside its own channels.
 * @param positions one tensor an axis, of shapes that broadcast together; the last axis of each is of size 1
 * @param frequencies one row an axis, one number a channel
 */
function angles(positions: readonly tf.Tensor[], frequencies: readonly Float32Array[]): tf.Tensor {
  return positions
    .map((position, axis) => tf.mul(position, tf.tensor1d(frequencies[axis]!)))
    .reduce((sum, next) => tf.add(sum, next));
}

/** One row an axis over all channels: `of(i, dim)` for channel `i` of the `dim` that the axis has, zero elsewhere. */
function rows(dims: readonly number[], of: (i: number, dim: number) => number): Float32Array[] {
  const width = dims.reduce((a, b) => a + b, 0);
  let start = 0;
  return dims.map(dim => {
    const row = new Float32Array(width);
    for (let i = 0; i < dim; i++) row[start + i] = of(i, dim);
    start += dim;
    return row;
  });
}

/** The rotary tables of `ropeTables`, for positions that are tensors; they have the positions' shape, `[…, Σ dims]`. */
export function ropeOf(
  positions: readonly tf.Tensor[],
  dims: readonly number[],
  theta = 10_000,
  pairs: RopePairs = 'neighbours',
): Rope {
  const turned = angles(
    positions,
    pairs === 'halves'
      ? rows(
          dims.map(dim => dim / 2),
          (i, half) => theta ** (-i / half),
        ).map(twice)
      : rows(dims, (i, dim) => theta ** (-(i - (i % 2)) / dim)),
  );
  return { cos: tf.cos(turned), sin: tf.sin(turned) };
}

const twice = (row: Float32Array): Float32Array => Float32Array.of(...row, ...row);

/** The table of `sincosTable`, for positions that are tensors: for every axis sines, then cosines. */
export function sincosOf(positions: readonly tf.Tensor[], dims: readonly number[]): tf.Tensor {
  const turned = angles(
    positions,
    rows(dims, (i, dim) => 10_000 ** (-(i % (dim / 2)) / (dim / 2))),
  );
  const isSine = dims.flatMap(dim => Array.from({ length: dim }, (_, i) => (i < dim / 2 ? 1 : 0)));
  const sines = tf.mul(tf.sin(turned), tf.tensor1d(isSine));
  return tf.add(sines, tf.mul(tf.cos(turned), tf.tensor1d(isSine.map(is => 1 - is))));
}

/** Positions along one of the axes of a grid, shaped so that they broadcast over the others. */
export function alongAxis(positions: tf.Tensor, axis: number, axes: number): tf.Tensor {
  const shape = Array.from({ length: axes + 1 }, (_, i) => (i === axis ? -1 : 1));
  return tf.reshape(positions, shape);
}

/** A table over a grid as a table over its tokens, `[N, width]`. */
export function flat(table: tf.Tensor): tf.Tensor2D {
  return tf.reshape(table, [-1, table.shape.at(-1) as number]) as tf.Tensor2D;
}
