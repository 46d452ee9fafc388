import * as tf from '@tensorflow/tfjs-core';
import type { ComputeType } from '../nn/bfloat16';
import { checkTable } from './check-table';
import type { Merges } from './lora/merge';
import type { Parameter, ParameterTable, WeightStore } from './parameters';
import { bufferFor, readPrepared } from './prepare';
import type { TensorSource } from './source';
import { residentStore } from './store';

/** How a checkpoint is read. */
export interface LoadOptions {
  /** Module prefixes such as `transformer_blocks.3`; their parameters are handed out by `use` only. */
  readonly blocks?: readonly string[] | undefined;
  /** What the blocks' products are computed in; bfloat16 keeps their matrices in half the memory. */
  readonly dtype?: ComputeType | undefined;
  /** Refuse NaN and infinities. On by default: it costs a small part of the reading. */
  readonly checkFinite?: boolean | undefined;
  /** Tensors that may be there though the table does not list them; all others are refused. */
  readonly ignore?: readonly RegExp[] | undefined;
  /** LoRAs that are merged into the weights as they are read. */
  readonly merges?: Merges | undefined;
  /** How errors call the checkpoint. */
  readonly where?: string | undefined;
}

/**
 * Reads every parameter of `table` into memory, as float32 by default, laid out for the layers.
 * Memory beside the result: what `readPrepared` takes for the largest parameter. When anything fails, every tensor made so far is disposed.
 * @param source the checkpoint's tensors; it stays the caller's
 * @param table names, shapes and layouts that the model takes
 * @param options blocks, number type, and what is checked
 * @returns a store with everything in memory; its caller disposes it
 * @throws CheckpointError when names, shapes or values do not fit the table
 */
export async function loadStore(
  source: TensorSource,
  table: ParameterTable,
  options: LoadOptions = {},
): Promise<WeightStore> {
  const { where = 'the checkpoint', ignore } = options;
  checkTable(source, table, { where, ignore });
  return residentStore(await readAll(source, table, options), options.blocks);
}

/** Every parameter of a table that was checked; the caller's. When one fails, those made so far are disposed. */
export async function readAll(
  source: TensorSource,
  table: readonly Parameter[],
  options: LoadOptions,
): Promise<Map<string, tf.Tensor>> {
  const { checkFinite = true } = options;
  const tensors = new Map<string, tf.Tensor>();
  try {
    const buffer = bufferFor(source, table);
    for (const parameter of table) {
      tensors.set(parameter.name, await readPrepared(source, parameter, { ...options, checkFinite, buffer }));
    }
    return tensors;
  } catch (error) {
    tf.dispose([...tensors.values()]);
    throw error;
  }
}
