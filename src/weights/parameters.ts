import type { Tensor } from '@tensorflow/tfjs-core';
import type { Params } from '../nn/params';

/**
 * How a parameter is stored in a checkpoint (PyTorch's order) and how the layers want it.
 * - `matrix`: stored `[out, in]`, handed to layers as `[in, out]`, the only order wasm multiplies fast.
 * - `plain`: handed over as stored (vectors, tables, norms).
 * - `conv2d`: stored `[out, in, kh, kw]`, handed over as `[kh, kw, in, out]`.
 * - `conv3d`: stored `[out, in, kt, kh, kw]`, handed over as `[kt, kh, kw, in, out]`.
 */
export type Layout = 'matrix' | 'plain' | 'conv2d' | 'conv3d';

/** One parameter of a model: its name in the checkpoint, its stored shape, and its layout. */
export interface Parameter {
  /** Name in the checkpoint. */
  readonly name: string;
  /** Stored shape, in PyTorch's order. */
  readonly shape: readonly number[];
  /** How layers want it. */
  readonly layout: Layout;
  /** A table of which only some rows are looked up in a run: a store may leave it on disk and offer `rows`. */
  readonly lookup?: true;
}

/** Every parameter of a model, in the order of its forward pass. */
export type ParameterTable = readonly Parameter[];

/**
 * Where a model's weights live while it runs: all in memory, or on disk with one block brought in at a time.
 * Names given to `resident` and `use` are module prefixes such as `transformer_blocks.3`.
 */
export interface WeightStore {
  /** Parameters outside every block; they stay in memory until `dispose`. */
  readonly resident: Params;
  /**
   * Runs `work` while the parameters under `prefix` are in memory. `next` may be read meanwhile.
   * @param prefix module prefix, one of the store's blocks
   * @param work gets the parameters, which are valid until it ends
   * @param next the block that is used after this one
   * @returns what `work` returns
   */
  use<T>(prefix: string, work: (params: Params) => T, next?: string): Promise<T>;
  /**
   * Rows `ids` of a parameter marked `lookup`, `[ids, columns]`, the caller's. A store without this method keeps
   * such tables among the resident parameters; `weights/rows` asks either kind.
   * @param name the parameter
   * @param ids row numbers, in any order
   * @returns `[ids.length, columns]`; the caller disposes it
   */
  rows?(name: string, ids: readonly number[]): Promise<Tensor>;
  /** Bytes that the resident parameters take. */
  readonly bytes: number;
  /** Disposes every parameter. */
  dispose(): void;
}

/** Number of elements of all parameters of `table`. */
export function parameterCount(table: ParameterTable): number {
  return table.reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, 1), 0);
}

/** A weight matrix and, unless `bias` is false, its bias. */
export function linear(name: string, inputs: number, outputs: number, bias = true): ParameterTable {
  const weight: Parameter = { name: `${name}.weight`, shape: [outputs, inputs], layout: 'matrix' };
  return bias ? [weight, vector(`${name}.bias`, outputs)] : [weight];
}

/** A one-dimensional parameter such as a norm's weight. */
export function vector(name: string, size: number): Parameter {
  return { name, shape: [size], layout: 'plain' };
}

/** A parameter handed over exactly as stored. */
export function plain(name: string, shape: readonly number[]): Parameter {
  return { name, shape, layout: 'plain' };
}

/** A table of embeddings `[rows, columns]`; a run looks up some of its rows. */
export function lookupTable(name: string, rows: number, columns: number): Parameter {
  return { name, shape: [rows, columns], layout: 'plain', lookup: true };
}

/** `table` with every name put under `prefix`. */
export function scoped(prefix: string, table: ParameterTable): ParameterTable {
  return table.map(p => ({ ...p, name: `${prefix}.${p.name}` }));
}

/** `build(0) … build(count - 1)`, each under `prefix.i`. */
export function repeated(prefix: string, count: number, build: (index: number) => ParameterTable): ParameterTable {
  return Array.from({ length: count }, (_, i) => scoped(`${prefix}.${i}`, build(i))).flat();
}
