import type { ParameterTable, WeightStore } from './parameters';
import type { Slice, TensorSource } from './source';
import { isQuantised, storedBytes } from './stored-type';
import { type StreamOptions, streamedStore } from './streamed-store';

/**
 * Bytes of the blocks as they are stored, where they are stored in types that take several times as much once they
 * are widened; undefined for other checkpoints.
 */
export function packedBytes(
  source: TensorSource,
  table: ParameterTable,
  blocks: readonly string[],
): number | undefined {
  const entries = inBlocks(table, blocks).flatMap(({ name }) => (source.has(name) ? [source.entry(name)] : []));
  if (!entries.some(({ dtype }) => isQuantised(dtype))) return undefined;
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}

/**
 * A store that keeps blocks in memory as they are stored and widens each when it is used: memory holds what the file
 * holds, and one block as float32. `source` stays the caller's.
 * @throws CheckpointError when names, shapes or values do not fit the table
 */
export async function packedStore(
  source: TensorSource,
  table: ParameterTable,
  options: StreamOptions,
): Promise<WeightStore> {
  const held = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { name } of inBlocks(table, options.blocks)) {
    if (source.has(name)) held.set(name, await source.readRaw(name));
  }
  // Nothing is left in the file, which may be closed.
  const whole = table.map(({ lookup: _, ...parameter }) => parameter);
  const { rows: _, ...store } = await streamedStore(heldSource(source, held), whole, { ...options, held });
  return {
    ...store,
    bytes: [...held.values()].reduce((sum, part) => sum + part.length, store.bytes),
    dispose() {
      store.dispose();
      held.clear();
    },
  };
}

/** Reads what is held from memory, in whatever way. Closing it leaves the files beneath open. */
function heldSource(source: TensorSource, held: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): TensorSource {
  /** The bytes of a tensor, or of a slice of it; undefined for one that is not held. */
  function heldPart(name: string, slice?: Slice): Uint8Array<ArrayBuffer> | undefined {
    const bytes = held.get(name);
    if (!bytes || !slice) return bytes;
    const { dtype } = source.entry(name);
    return bytes.subarray(storedBytes(dtype, slice.start), storedBytes(dtype, slice.start + slice.count));
  }
  return {
    ...source,
    async readInto(name, target, slice) {
      const bytes = heldPart(name, slice);
      if (!bytes) return source.readInto(name, target, slice);
      target.set(bytes);
    },
    readRaw: async (name, slice) => heldPart(name, slice)?.slice() ?? source.readRaw(name, slice),
    async read(name, slice) {
      const bytes = held.get(name);
      if (!bytes) return source.read(name, slice);
      const { start, count } = slice ?? { start: 0, count: source.entry(name).size };
      // A slice may begin inside a block of a quantised type.
      return source.widen(name, bytes).slice(start, start + count);
    },
    bypassCache() {},
    close: async () => {},
  };
}

/** The parameters of these blocks. A name is looked up by its beginnings: there may be thousands of blocks. */
function inBlocks(table: ParameterTable, blocks: readonly string[]): ParameterTable {
  const known = new Set(blocks);
  return table.filter(({ name }) => {
    for (let dot = name.indexOf('.'); dot > 0; dot = name.indexOf('.', dot + 1)) {
      if (known.has(name.slice(0, dot))) return true;
    }
    return false;
  });
}
