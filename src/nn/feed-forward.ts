import * as tf from '@tensorflow/tfjs-core';
import { linear } from './linear';
import type { Params } from './params';

/** Elements of the widest layer held at one time; the tile of rows is chosen so that no more exist. */
const MAX_ELEMENTS = 16 * 1024 * 1024;
const MIN_TILE = 64;

/**
 * `second(GELU(first(x)))` with GELU in its tanh form.
 *
 * Rows are taken in tiles: the widest layer of a long video would otherwise outweigh all else, several times over.
 * @param x `[…, D]`
 */
export function feedForward(first: Params, second: Params, x: tf.Tensor): tf.Tensor {
  const inputs = x.shape.at(-1) as number;
  const rows = x.size / inputs;
  const tile = Math.max(MIN_TILE, Math.floor(MAX_ELEMENTS / (first.tensor('weight').shape[1] as number)));
  const work = (part: tf.Tensor): tf.Tensor =>
    linear(second, linear(first, part, { activation: 'geluTanh', staysNarrow: true }));
  const flat = tf.reshape(x, [rows, inputs]);
  const shaped = (y: tf.Tensor): tf.Tensor => tf.reshape(y, [...x.shape.slice(0, -1), y.shape[1] as number]);
  if (rows <= tile) return shaped(work(flat));

  const parts: tf.Tensor[] = [];
  for (let start = 0; start < rows; start += tile) {
    parts.push(tf.tidy(() => work(tf.slice(flat, [start, 0], [Math.min(tile, rows - start), inputs]))));
  }
  return shaped(tf.concat(parts, 0));
}
