/**
 * The header of GGUF files, as ggml and gguf-py write it (versions 2 and 3, little endian): metadata, the table of the
 * tensors, and where their data begin.
 */
import { CheckpointError } from '../errors';
import { elements, showShape } from './dtype';
import { AGAIN, type Cursor, cursorOf } from './gguf-cursor';
import { type GgufValue, readPair } from './gguf-metadata';
import { GGUF_TYPES, ggmlTypeName } from './gguf-types';
import { sniff } from './sniff';
import { blockOf, type StoredType, storedBytes } from './stored-type';

/** Where one tensor lies in a file. */
export interface GgufSpan {
  readonly dtype: StoredType;
  /** In PyTorch's order. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly begin: number;
  /** One past the last byte, counted from the start of the file. */
  readonly end: number;
}

/** What the header of a GGUF file says. */
export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By tensor name, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, GgufSpan>;
}

const MAGIC = 'GGUF';
/** ggml stops at four; published files of Wan hold a kernel of five. */
const MOST_DIMENSIONS = 5;
/** Bytes that a pair of the metadata and an entry of the table take at least. */
const LEAST_PAIR = 13;
const LEAST_ENTRY = 24;
const ORIGINAL_SHAPE = 'comfy.gguf.orig_shape.';

/** Whether the first bytes of a file say that it is GGUF. */
export function isGguf(head: Uint8Array): boolean {
  return [...MAGIC].every((letter, i) => head[i] === letter.charCodeAt(0));
}

/**
 * Reads the header of a GGUF file, strictly: every tensor lies inside the file, aligned, and none overlap.
 * @param bytes the first bytes of the file
 * @param size bytes of the whole file
 * @param file its name, for errors
 * @throws CheckpointError, and MoreBytes where the header is longer than `bytes`
 */
export function parseGguf(bytes: Uint8Array, size: number, file: string): GgufHeader {
  requireMagic(bytes, size, file);
  const cursor = cursorOf(bytes, size, file);
  cursor.u32();
  const version = requireVersion(cursor.u32(), file);
  const tensorCount = cursor.count(cursor.u64(), LEAST_ENTRY, 'a number of tensors');
  const pairCount = cursor.count(cursor.u64(), LEAST_PAIR, 'a number of metadata');
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < pairCount; i++) {
    const [key, value] = readPair(cursor, file);
    if (metadata.has(key)) throw entryError(`The metadata ${key} is in ${file} twice.`);
    metadata.set(key, value);
  }
  const alignment = alignmentOf(metadata, file);
  const entries = new Map<string, Entry>();
  for (let i = 0; i < tensorCount; i++) {
    const entry = readEntry(cursor, file);
    if (entries.has(entry.name)) throw entryError(`Tensor ${entry.name} is in ${file} twice.`);
    entries.set(entry.name, entry);
  }
  const dataStart = Math.ceil(cursor.at / alignment) * alignment;
  const where = { dataStart, alignment, size, file };
  const spans = [...entries.values()].map(entry => [entry.name, spanOf(entry, metadata, where)] as const);
  spans.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  requireApart(spans, file);
  return { version, metadata, tensors: new Map(spans) };
}

function requireMagic(bytes: Uint8Array, size: number, file: string): void {
  if (size === 0) throw new CheckpointError('empty_file', `${file} is empty (0 bytes).`, { hint: AGAIN });
  if (isGguf(bytes)) return;
  const guess = sniff(bytes);
  const what = guess ? `it is ${guess.what}` : 'its first bytes are not "GGUF"';
  throw new CheckpointError('magic', `${file} is not a GGUF file: ${what}.`, { hint: guess?.hint ?? AGAIN });
}

function requireVersion(version: number, file: string): number {
  if (version === 2 || version === 3) return version;
  const isBigEndian = version !== 0 && version % 2 ** 24 === 0;
  const what = isBigEndian ? 'is written for big-endian machines' : `is of version ${version} of the GGUF format`;
  throw new CheckpointError('version', `${file} ${what}, which ertacache does not read.`, {
    hint: "Take a little-endian file of version 2 or 3, which all of today's programs write.",
  });
}

function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, file: string): number {
  const alignment = metadata.get('general.alignment') ?? 32;
  // Of two, so that the bits below are all ones.
  if (typeof alignment === 'number' && alignment >= 1 && alignment <= 2 ** 20 && Math.log2(alignment) % 1 === 0) {
    return alignment;
  }
  const message = `general.alignment in ${file} is ${String(alignment)}, which is not a power of two up to 2^20.`;
  throw new CheckpointError('alignment', message, { hint: AGAIN });
}

interface Entry {
  readonly name: string;
  /** In PyTorch's order. */
  readonly shape: readonly bigint[];
  readonly type: number;
  readonly offset: bigint;
}

function readEntry(cursor: Cursor, file: string): Entry {
  const name = cursor.text('The name of a tensor');
  if (name === '__proto__') throw entryError(`${file} holds a tensor named __proto__, which is no name of a weight.`);
  const dimensions = cursor.u32();
  if (dimensions > MOST_DIMENSIONS) throw entryError(`Tensor ${name} in ${file} has ${dimensions} dimensions.`);
  const shape = Array.from({ length: dimensions }, () => cursor.u64()).reverse();
  return { name, shape, type: cursor.u32(), offset: cursor.u64() };
}

function spanOf(
  { name, shape: found, type, offset }: Entry,
  metadata: ReadonlyMap<string, GgufValue>,
  { dataStart, alignment, size, file }: { dataStart: number; alignment: number; size: number; file: string },
): GgufSpan {
  const refuse = (fault: CheckpointError['fault'], what: string, hint = AGAIN): never => {
    throw new CheckpointError(fault, `Tensor ${name} in ${file} ${what}.`, { hint });
  };
  const dtype = GGUF_TYPES.get(type);
  if (dtype === undefined) {
    const known = [...GGUF_TYPES.values()].join(', ');
    return refuse('dtype', `is of the type ${ggmlTypeName(type)}, which ertacache does not read`, `It reads ${known}.`);
  }
  const stored = found.map(Number);
  const count = elements(stored);
  const block = blockOf(dtype).elements;
  if (count === 0 || !Number.isSafeInteger(count * 8)) {
    return refuse('tensor_size', `has the impossible shape [${found.join(', ')}]`);
  }
  if ((stored.at(-1) ?? 1) % block !== 0) {
    const row = stored.at(-1) ?? 1;
    return refuse('tensor_size', `has rows of ${row} elements, which are not whole blocks of ${dtype} (${block})`);
  }
  const bytes = storedBytes(dtype, count);
  const data = BigInt(Math.max(0, size - dataStart));
  if (offset >= data) return refuse('offsets', `begins at byte ${offset} of the data, which has only ${data}`);
  if (offset % BigInt(alignment) !== 0n) {
    return refuse('alignment', `begins at byte ${offset} of the data, which is no multiple of ${alignment}`);
  }
  if (offset + BigInt(bytes) > data) {
    const message = `${file} is cut short: tensor ${name} ends at byte ${offset + BigInt(bytes)} of the data, which has ${data}.`;
    throw new CheckpointError('truncated_data', message, { hint: AGAIN });
  }
  const begin = dataStart + Number(offset);
  return { dtype, shape: originalShape(name, stored, metadata, file), begin, end: begin + bytes };
}

/** The shape before a tensor was reshaped so that its rows are whole blocks. */
function originalShape(
  name: string,
  stored: readonly number[],
  metadata: ReadonlyMap<string, GgufValue>,
  file: string,
): readonly number[] {
  const original = metadata.get(ORIGINAL_SHAPE + name);
  if (original === undefined) return stored;
  if (Array.isArray(original)) {
    const shape = original.filter((side): side is number => Number.isSafeInteger(side) && side > 0);
    if (shape.length === original.length && elements(shape) === elements(stored)) return shape;
  }
  const message = `Tensor ${name} in ${file} has ${showShape(stored)} elements, but ${ORIGINAL_SHAPE}${name} says otherwise.`;
  throw new CheckpointError('tensor_size', message, { hint: AGAIN });
}

function requireApart(spans: readonly (readonly [string, GgufSpan])[], file: string): void {
  let covered = 0;
  for (const [name, { begin, end }] of spans) {
    if (begin < covered) {
      const message = `Tensor ${name} in ${file} shares bytes with the tensor before it.`;
      throw new CheckpointError('offsets', message, { hint: AGAIN });
    }
    covered = end;
  }
}

function entryError(message: string): CheckpointError {
  return new CheckpointError('header_entry', message, { hint: AGAIN });
}
