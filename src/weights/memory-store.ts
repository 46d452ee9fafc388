import { alignedFloat32 } from '../io/aligned';
import type { ComputeType } from '../nn/bfloat16';
import { checkTable } from './check-table';
import { elements } from './dtype';
import type { ParameterTable, WeightStore } from './parameters';
import { prepareWhole, storedFloats } from './prepare';
import { residentStore } from './store';

/** Values in the checkpoint's order and shape. */
export interface StoredValues {
  /** The parameter's stored shape. */
  readonly shape: readonly number[];
  /** Values in row-major order. */
  readonly data: Float32Array;
}

/**
 * A store over values that are already in memory; they are copied. Names and shapes are checked as on loading.
 * @param table names, shapes and layouts that the model takes
 * @param values by name, in the checkpoint's order and shape
 * @param blocks module prefixes whose parameters are handed out by `use` only; none by default
 * @returns a store with everything in memory; its caller disposes it
 * @throws CheckpointError when names or shapes do not fit the table
 */
export function memoryStore(
  table: ParameterTable,
  values: ReadonlyMap<string, StoredValues>,
  blocks: readonly string[] = [],
): WeightStore {
  const listing = {
    names: [...values.keys()],
    has: values.has.bind(values),
    entry: (name: string) => values.get(name)!,
  };
  const where = 'the given tensors';
  checkTable(listing, table, { where });
  const stored = storedFloats(where);
  const tensors = table.map(parameter => {
    const bytes = bytesOf(values.get(parameter.name)!.data);
    return [parameter.name, prepareWhole(parameter, stored, bytes, { isLent: true })] as const;
  });
  return residentStore(new Map(tensors), blocks);
}

/**
 * A store of made-up weights, for benchmarks and for trying a model whose weights are not at hand. Norm weights
 * (names that end in `norm….weight`) are near 1, all others near 0, evenly spread, so that activations stay finite.
 * The same table and seed give the same weights, whatever the order of the table.
 */
export function syntheticStore(
  table: ParameterTable,
  seed: number,
  blocks: readonly string[] = [],
  dtype: ComputeType = 'float32',
): WeightStore {
  const stored = storedFloats('made-up weights', true);
  const tensors = table.map(parameter => {
    const isNorm = parameter.shape.length === 1 && /norm[^.]*\.weight$/.test(parameter.name);
    const data = spread(
      elements(parameter.shape),
      hash(`${seed}/${parameter.name}`),
      isNorm ? 1 : 0,
      isNorm ? 0.1 : 0.02,
    );
    return [parameter.name, prepareWhole(parameter, stored, bytesOf(data), { dtype, blocks })] as const;
  });
  return residentStore(new Map(tensors), blocks);
}

/** The same memory. It is only read, so that it does not matter whether it is shared with other threads. */
function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Evenly distributed numbers of the given mean and standard deviation, by xorshift32. */
function spread(count: number, seed: number, mean: number, deviation: number): Float32Array {
  const scale = (deviation * Math.sqrt(12)) / 2 ** 32;
  const out = alignedFloat32(count);
  let state = seed | 0 || 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = mean + state * scale;
  }
  return out;
}

/** FNV-1a over UTF-16 code units. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return state;
}
