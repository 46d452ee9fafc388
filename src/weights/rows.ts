import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError, ShapeError } from '../errors';
import { checkFinite } from './finite';
import type { WeightStore } from './parameters';
import type { TensorSource } from './source';

/** Rows at most this far apart are read together, with what lies between them. */
const GAP = 4;

/**
 * Rows of a table in the order of `ids`, as `[ids, columns]`, the caller's. A store that leaves its tables on disk is
 * asked for these rows; otherwise the table is among the resident parameters.
 */
export async function lookUp(store: WeightStore, name: string, ids: readonly number[]): Promise<tf.Tensor> {
  if (store.rows) return store.rows(name, ids);
  const table = store.resident.tensor(name);
  checkRows(name, table.shape[0] as number, ids);
  return tf.tidy(() => tf.gather(table, tf.tensor1d([...ids], 'int32')));
}

/**
 * The same from a checkpoint, by ranged reads: each row once, neighbours together. What a store does that leaves
 * a table of 256 384 rows where it is.
 */
export async function readRows(source: TensorSource, name: string, ids: readonly number[]): Promise<tf.Tensor> {
  const { shape, file } = source.entry(name);
  const [rows, columns] = shape as [number, number];
  if (shape.length !== 2) {
    throw new CheckpointError('shape_mismatch', `${name} in ${file} is not a table of rows and columns.`);
  }
  checkRows(name, rows, ids);
  const found = new Map<number, Float32Array>();
  for (const [first, last] of runs(ids)) {
    const start = first * columns;
    const values = await source.read(name, { start, count: (last - first + 1) * columns });
    checkFinite(values, name, file, start);
    for (let row = first; row <= last; row++) {
      found.set(row, values.subarray((row - first) * columns, (row - first + 1) * columns));
    }
  }
  const out = new Float32Array(ids.length * columns);
  ids.forEach((id, i) => {
    out.set(found.get(id)!, i * columns);
  });
  return tf.tensor2d(out, [ids.length, columns]);
}

/** First and last of every run of wanted rows, small gaps bridged. */
function runs(ids: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const id of [...new Set(ids)].sort((a, b) => a - b)) {
    const run = found.at(-1);
    if (run && id - run[1] <= GAP) run[1] = id;
    else found.push([id, id]);
  }
  return found;
}

function checkRows(name: string, rows: number, ids: readonly number[]): void {
  const outside = ids.find(id => !(Number.isInteger(id) && id >= 0 && id < rows));
  if (outside === undefined) return;
  throw new ShapeError(`Row ${outside} of ${name} was requested, which has ${rows} rows.`, {
    hint: 'For text: tokenizer and text encoder are of different models; take both from the same repository.',
  });
}
