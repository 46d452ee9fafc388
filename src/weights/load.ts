import * as tf from '@tensorflow/tfjs-core';
import { alignedFloat32 } from '../io/aligned';
import type { ComputeType } from '../nn/bfloat16';
import { checkTable } from './check-table';
import { narrowed } from './computed';
import { elements } from './dtype';
import { checkFinite } from './finite';
import { asStored, laidOutShape, placeRows } from './layout';
import type { Parameter, ParameterTable, WeightStore } from './parameters';
import { slices, type TensorSource } from './source';
import { residentStore } from './store';

/** Elements that are read at a time while a kernel is laid out: 8 MB of float32. */
const SLICE = 2 ** 21;

/** How a checkpoint is read. */
export interface LoadOptions {
  /** Module prefixes such as `transformer_blocks.3`; their parameters are handed out by `use` only. */
  readonly blocks?: readonly string[];
  /** What the blocks' products are computed in; bfloat16 keeps their matrices in half the memory. */
  readonly dtype?: ComputeType;
  /** Refuse NaN and infinities. On by default: it costs a small part of the reading. */
  readonly checkFinite?: boolean;
  /** Tensors that may be there though the table does not list them; all others are refused. */
  readonly ignore?: readonly RegExp[];
  /** How errors call the checkpoint. */
  readonly where?: string;
}

/**
 * Reads every parameter of `table` into memory, as float32 by default, laid out for the layers.
 * Memory beside the result: one tensor at most. When anything fails, every tensor made so far is disposed.
 * @throws CheckpointError when names, shapes or values do not fit the table
 */
export async function loadStore(
  source: TensorSource,
  table: ParameterTable,
  options: LoadOptions = {},
): Promise<WeightStore> {
  const { where = 'the checkpoint', ignore } = options;
  checkTable(source, table, { where, ignore });
  const tensors = new Map<string, tf.Tensor>();
  try {
    for (const parameter of table) {
      tensors.set(parameter.name, narrowed(parameter, await readParameter(source, parameter, options), options));
    }
    return residentStore(tensors, options.blocks);
  } catch (error) {
    tf.dispose([...tensors.values()]);
    throw error;
  }
}

/** Reads one parameter; the caller owns the tensor. Its name and shape must have been checked. */
export async function readParameter(
  source: TensorSource,
  parameter: Parameter,
  options: Pick<LoadOptions, 'checkFinite'> = {},
): Promise<tf.Tensor> {
  const { name, shape, layout } = asStored(parameter, source.entry(parameter.name));
  const check = (values: Float32Array, offset: number) => {
    if (options.checkFinite ?? true) checkFinite(values, name, source.entry(name).file, offset);
  };
  const size = elements(shape);
  let values: Float32Array;
  if (layout === 'plain' || size === 0) {
    values = await source.read(name);
    check(values, 0);
  } else {
    values = alignedFloat32(size);
    const width = size / shape[0]!;
    for (const slice of slices(size, Math.max(1, Math.floor(SLICE / width)) * width)) {
      const rows = await source.read(name, slice);
      check(rows, slice.start);
      placeRows(values, rows, slice.start / width, shape);
    }
  }
  return tf.tensor(values, laidOutShape(parameter), 'float32');
}
