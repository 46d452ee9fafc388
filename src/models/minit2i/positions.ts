import * as tf from '@tensorflow/tfjs-core';
import { range, sincosTable } from '../../nn/positions';
import { type Rope, ropeTables } from '../../nn/rope';
import { attentionHeads, type MiniT2IConfig } from './config';

/** Where tokens are: rotary tables of text and image `[T + N, d]`, and what is added to the image's tokens `[N, D]`. */
export interface Positions extends Rope {
  readonly added: tf.Tensor;
}

/** Rotary channels of an image token: half for its row, half for its column. */
export const imageRopeDims = (c: MiniT2IConfig): [number, number] => {
  const half = attentionHeads(c)[1] / 2;
  return [half, half];
};

/** Channels of the added table: half for the column, which comes first there, half for the row. */
export const addedDims = (c: MiniT2IConfig): [number, number] => [c.hidden_size / 2, c.hidden_size / 2];

/** The tables of a text of `textTokens` and a picture of `rows` by `columns` tokens; new tensors. */
export function positionTables(
  c: MiniT2IConfig,
  textTokens: number,
  [rows, columns]: readonly [rows: number, columns: number],
): Positions {
  const grid = range(rows).flatMap(row => range(columns).map((column): [number, number] => [row, column]));
  const text = ropeTables(
    range(textTokens).map(i => [i]),
    [attentionHeads(c)[1]],
    undefined,
    'halves',
  );
  const image = ropeTables(grid, imageRopeDims(c), undefined, 'halves');
  return {
    cos: tf.concat([text.cos, image.cos]),
    sin: tf.concat([text.sin, image.sin]),
    added: sincosTable(
      grid.map(([row, column]) => [column, row]),
      addedDims(c),
    ),
  };
}
