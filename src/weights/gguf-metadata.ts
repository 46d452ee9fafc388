import { CheckpointError } from '../errors';
import { AGAIN, type Cursor } from './gguf-cursor';

/** A value of a GGUF file's metadata. 64-bit integers are bigints; null is an array that was passed over. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[] | null;

/** Longer arrays are vocabularies of language models: they are passed over. */
const LONGEST = 2 ** 14;

/** Arrays in arrays are read this deep; writers nest none. */
const DEEPEST = 4;

const STRING = 8;
const ARRAY = 9;

interface Plain {
  readonly bytes: number;
  read(view: DataView, at: number): GgufValue;
}

/** Types of a fixed width, by their numbers in the format. */
const PLAIN: ReadonlyMap<number, Plain> = new Map<number, Plain>([
  [0, { bytes: 1, read: (view, at) => view.getUint8(at) }],
  [1, { bytes: 1, read: (view, at) => view.getInt8(at) }],
  [2, { bytes: 2, read: (view, at) => view.getUint16(at, true) }],
  [3, { bytes: 2, read: (view, at) => view.getInt16(at, true) }],
  [4, { bytes: 4, read: (view, at) => view.getUint32(at, true) }],
  [5, { bytes: 4, read: (view, at) => view.getInt32(at, true) }],
  [6, { bytes: 4, read: (view, at) => view.getFloat32(at, true) }],
  [7, { bytes: 1, read: (view, at) => view.getUint8(at) !== 0 }],
  [10, { bytes: 8, read: (view, at) => view.getBigUint64(at, true) }],
  [11, { bytes: 8, read: (view, at) => view.getBigInt64(at, true) }],
  [12, { bytes: 8, read: (view, at) => view.getFloat64(at, true) }],
]);

/**
 * One pair of the metadata.
 * @throws CheckpointError `header_entry` or `header_length` naming the key
 */
export function readPair(cursor: Cursor, file: string): [string, GgufValue] {
  const key = cursor.text('A key of the metadata');
  return [key, readValue(cursor, cursor.u32(), key, file, 0)];
}

function readValue(cursor: Cursor, type: number, key: string, file: string, depth: number): GgufValue {
  const plain = PLAIN.get(type);
  if (plain) return cursor.value(plain.bytes, plain.read);
  if (type === STRING) return cursor.text(`The value of ${key}`);
  const refuse = (what: string): never => {
    throw new CheckpointError('header_entry', `The metadata ${key} in ${file} ${what}.`, { hint: AGAIN });
  };
  if (type !== ARRAY) return refuse(`is of the type ${type}, which the format does not know`);
  if (depth === DEEPEST) return refuse(`holds arrays in arrays more than ${DEEPEST} deep`);
  const of = cursor.u32();
  const least = PLAIN.get(of)?.bytes ?? (of === STRING ? 8 : 12);
  const count = cursor.count(cursor.u64(), least, `${key} as an array of a length`);
  const values: GgufValue[] = [];
  for (let i = 0; i < count; i++) {
    const value = readValue(cursor, of, key, file, depth + 1);
    if (count <= LONGEST) values.push(value);
  }
  return count <= LONGEST ? values : null;
}
