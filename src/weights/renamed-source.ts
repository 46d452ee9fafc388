import { CheckpointError } from '../errors';
import { allDone } from '../io/byte-file';
import { elements, isDType, showShape } from './dtype';
import { type KeyLayout, type Origin, originsOf } from './key-layout';
import type { ParameterTable } from './parameters';
import { type Slice, scaled, type TensorEntry, type TensorSource } from './source';
import { blockOf, storedBytes } from './stored-type';
import { widenToFloat32 } from './widen';

/**
 * A checkpoint of another layout under the names of the parameter table. Nothing is read ahead: a parameter that is a
 * part of a fused tensor is read as the ranges of its rows. Keys that the layout does not know keep their names, so
 * that whoever compares names with the table finds them.
 * @param where how errors call the checkpoint
 * @throws CheckpointError naming an original key that is missing or of the wrong shape
 */
export function renamedSource(
  source: TensorSource,
  table: ParameterTable,
  layout: KeyLayout,
  where: string,
): TensorSource {
  const origins = originsOf(table, layout);
  checkOrigins(source, table, origins, where);
  const shapes = new Map(table.map(({ name, shape }) => [name, shape]));
  const used = new Set([...origins.values()].map(origin => origin.name));
  const names = [...origins.keys(), ...source.names.filter(name => !used.has(name))].sort();

  /** Elements of a row, in the parameter's shape: the original may leave out axes of size 1. */
  const rowWidth = (name: string): number => elements(shapes.get(name)!.slice(1));

  /** Whether its rows begin or end inside a block of a quantised type: it is then handed over as float32. */
  function isCut([name, origin]: readonly [string, Origin]): boolean {
    const block = blockOf(source.entry(origin.name).dtype).elements;
    return origin.rows.flat().some(row => (row * rowWidth(name)) % block !== 0);
  }
  const cut = new Set([...origins].filter(isCut).map(([name]) => name));

  /** The parts of the original that make up a slice of the parameter, and where each belongs. */
  function parts(name: string, origin: Origin, slice?: Slice): { at: number; part: Slice }[] {
    const width = rowWidth(name);
    const { start, count } = slice ?? { start: 0, count: Number.POSITIVE_INFINITY };
    const found: { at: number; part: Slice }[] = [];
    let before = 0;
    for (const [first, end] of origin.rows) {
      const size = (end - first) * width;
      const [from, to] = [Math.max(start, before), Math.min(start + count, before + size)];
      if (from < to) found.push({ at: from - start, part: { start: first * width + from - before, count: to - from } });
      before += size;
    }
    return found;
  }

  function entry(name: string): TensorEntry {
    const origin = origins.get(name);
    const whole = source.entry(origin?.name ?? name);
    if (!origin) return whole;
    const shape = shapes.get(name)!;
    const size = elements(shape);
    if (cut.has(name)) return { ...whole, dtype: 'F32', scale: undefined, shape, size, bytes: size * 4 };
    const scale = typeof whole.scale === 'object' ? ofRows(whole.scale, origin.rows) : whole.scale;
    const begin = whole.begin + storedBytes(whole.dtype, (origin.rows[0]?.[0] ?? 0) * rowWidth(name));
    return { ...whole, shape, size, scale, bytes: storedBytes(whole.dtype, size), begin };
  }

  async function readInto(name: string, target: Uint8Array, slice?: Slice): Promise<void> {
    const origin = origins.get(name);
    if (!origin) return source.readInto(name, target, slice);
    const { dtype } = entry(name);
    await allDone(
      parts(name, origin, slice).map(async ({ at, part }) => {
        const place = target.subarray(storedBytes(dtype, at), storedBytes(dtype, at + part.count));
        if (!cut.has(name)) return source.readInto(origin.name, place, part);
        const { buffer, byteOffset, byteLength } = await source.read(origin.name, part);
        place.set(new Uint8Array(buffer, byteOffset, byteLength));
      }),
    );
  }

  async function readRaw(name: string, slice?: Slice): Promise<Uint8Array<ArrayBuffer>> {
    const { size, dtype } = entry(name);
    const { start, count } = slice ?? { start: 0, count: size };
    if (start < 0 || count < 0 || start + count > size) {
      throw new RangeError(`elements ${start} to ${start + count} are not in tensor ${name}`);
    }
    const out = new Uint8Array(storedBytes(dtype, count));
    await readInto(name, out, slice);
    return out;
  }

  const originalOf = (name: string): string => origins.get(name)?.name ?? name;
  const widen: TensorSource['widen'] = (name, bytes, start = 0) => {
    if (cut.has(name)) return widenToFloat32(bytes, 'F32');
    const found = entry(name);
    // Scales of rows are in the order of the parameter's.
    if (typeof found.scale === 'object' && isDType(found.dtype)) {
      return scaled(widenToFloat32(bytes, found.dtype), found, start);
    }
    return source.widen(originalOf(name), bytes, start);
  };

  /** Any slice, also one that begins inside a block of the original. */
  async function read(name: string, slice?: Slice): Promise<Float32Array<ArrayBuffer>> {
    const origin = origins.get(name);
    if (!origin) return source.read(name, slice);
    if (blockOf(entry(name).dtype).elements === 1) return widen(name, await readRaw(name, slice), slice?.start);
    const out = new Float32Array(slice?.count ?? entry(name).size);
    await allDone(
      parts(name, origin, slice).map(async ({ at, part }) => out.set(await source.read(origin.name, part), at)),
    );
    return out;
  }
  return {
    names,
    files: source.files,
    has: name => origins.has(name) || (source.has(name) && !used.has(name)),
    entry,
    read,
    readInts(name, slice) {
      const origin = origins.get(name);
      const [only] = origin ? parts(name, origin, slice) : [];
      return source.readInts(originalOf(name), only?.part ?? slice);
    },
    readRaw,
    readInto,
    widen,
    bypassCache: () => source.bypassCache(),
    close: () => source.close(),
  };
}

/** Every original key is there, and its rows are those of its parameters, each once. */
function checkOrigins(
  source: TensorSource,
  table: ParameterTable,
  origins: ReadonlyMap<string, Origin>,
  where: string,
): void {
  const rows = new Map<string, number>();
  for (const { name: original, rows: runs } of origins.values()) {
    const count = runs.reduce((sum, [first, end]) => sum + end - first, 0);
    rows.set(original, (rows.get(original) ?? 0) + count);
  }
  const missing = [...rows.keys()].filter(name => !source.has(name));
  if (missing.length > 0) {
    const shown = missing.slice(0, 3).join(', ');
    const more = missing.length > 3 ? ` and ${missing.length - 3} more tensors` : '';
    throw new CheckpointError('missing_key', `${where} lacks ${shown}${more}.`, {
      hint: 'The weights are not those of this config.json, or were saved incompletely.',
    });
  }
  for (const { name, shape } of table) {
    const origin = origins.get(name);
    if (!origin) continue;
    const found = source.entry(origin.name).shape;
    const wanted = [rows.get(origin.name)!, ...shape.slice(1)];
    if (withoutOnes(wanted) === withoutOnes(found)) continue;
    const message = `${origin.name} in ${where} has the shape ${showShape(found)}, but the model takes ${showShape(wanted)}.`;
    throw new CheckpointError('shape_mismatch', message, {
      hint: 'The weights are not those of this config.json; take both from the same repository.',
    });
  }
}

/** The scales of some rows. */
function ofRows(scale: Float32Array, rows: Origin['rows']): Float32Array {
  return Float32Array.from(rows.flatMap(([first, end]) => [...scale.subarray(first, end)]));
}

/** A 1 × 1 convolution is a matrix, and some writers leave out axes of size 1. */
const withoutOnes = (shape: readonly number[]): string => shape.filter(size => size !== 1).join();
