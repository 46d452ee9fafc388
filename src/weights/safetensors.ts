import { CheckpointError } from '../errors';
import { isJsonObject, type Json, JsonError, parseStrictJson } from '../io/strict-json';
import { DTYPE_BYTES, type DType, isDType, showShape } from './dtype';
import { sniff } from './sniff';

/** The longest header that the safetensors format allows, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;

/** How many of a file's first bytes {@link headerLength} wants to see (fewer when the file is shorter). */
export const HEAD_BYTES = 512;

/** Where one tensor lies in a file. */
export interface TensorSpan {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly begin: number;
  /** One past the last byte, counted from the start of the file. */
  readonly end: number;
}

/** What the header of a safetensors file says. */
export interface SafetensorsHeader {
  /** By tensor name, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorSpan>;
  readonly metadata: ReadonlyMap<string, string>;
}

const AGAIN = 'Download or export the file again.';

/**
 * Length of the JSON header, from the first bytes of a file. Nothing is allocated by what the file claims.
 * @param head the first {@link HEAD_BYTES} bytes
 * @param size bytes of the whole file
 * @param file its name, for the error
 * @throws CheckpointError when the file cannot be safetensors
 */
export function headerLength(head: Uint8Array, size: number, file: string): number {
  if (size === 0) throw new CheckpointError('empty_file', `${file} is empty (0 bytes).`, { hint: AGAIN });
  const length = head.length < 8 ? undefined : new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  // As BigInt: a length above 2^53 must not be rounded into something that passes.
  if (length !== undefined && length <= BigInt(Math.min(MAX_HEADER_BYTES, size - 8))) {
    if (length >= 2n) return Number(length);
    throw new CheckpointError('header_length', `${file} claims a header of ${length} bytes.`, { hint: AGAIN });
  }
  const guess = sniff(head);
  if (guess) throw new CheckpointError('header_length', `${file} is ${guess.what}.`, { hint: guess.hint });
  if (length === undefined) {
    const message = `${file} ends after ${size} bytes, before the 8 that give the length of its header.`;
    throw new CheckpointError('truncated_header', message, { hint: AGAIN });
  }
  if (length > BigInt(MAX_HEADER_BYTES)) {
    const message = `${file} is not a safetensors file: it claims a header of ${length} bytes, and 100 MB is the limit.`;
    throw new CheckpointError('header_length', message, { hint: AGAIN });
  }
  // Text to the last byte: the header was cut. Otherwise tensors follow, so the length itself is wrong.
  const cut = head.subarray(8).every(byte => byte >= 0x20 && byte < 0x7f);
  throw new CheckpointError(
    cut ? 'truncated_header' : 'header_length',
    `${file} claims a header of ${length} bytes but only ${size - 8} follow.`,
    { hint: AGAIN },
  );
}

/**
 * Reads the JSON header of a safetensors file, strictly: every tensor lies inside the file, none overlap, and no
 * byte belongs to none.
 * @param json the header, without the 8 bytes of its length
 * @param size bytes of the whole file
 * @param file its name, for errors
 * @throws CheckpointError
 */
export function parseHeader(json: Uint8Array, size: number, file: string): SafetensorsHeader {
  const dataStart = 8 + json.length;
  const tensors: [string, TensorSpan][] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, entry] of headerObject(json, file)) {
    if (name === '__metadata__') metadata = stringMap(entry, file);
    else tensors.push([name, span(name, entry, dataStart, size, file)]);
  }
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkCover(tensors, dataStart, size, file);
  return { tensors: new Map(tensors), metadata };
}

/** The header of a safetensors file that is wholly in memory. */
export function parseSafetensors(bytes: Uint8Array, file = 'the safetensors data'): SafetensorsHeader {
  const length = headerLength(bytes.subarray(0, HEAD_BYTES), bytes.length, file);
  return parseHeader(bytes.subarray(8, 8 + length), bytes.length, file);
}

function headerObject(json: Uint8Array, file: string): ReadonlyMap<string, Json> {
  let why: string;
  try {
    const value = parseStrictJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json));
    if (isJsonObject(value)) return value;
    why = 'is not a JSON object';
  } catch (error) {
    why = error instanceof JsonError ? `is not valid: ${error.message}` : 'is not UTF-8 text';
  }
  throw new CheckpointError('header_json', `The header of ${file} ${why}.`, { hint: AGAIN });
}

function stringMap(value: Json, file: string): ReadonlyMap<string, string> {
  if (isJsonObject(value)) {
    const strings = [...value].filter((pair): pair is [string, string] => typeof pair[1] === 'string');
    if (strings.length === value.size) return new Map(strings);
  }
  throw new CheckpointError('header_entry', `__metadata__ in ${file} is not an object of strings.`, { hint: AGAIN });
}

function span(name: string, entry: Json, dataStart: number, size: number, file: string): TensorSpan {
  const refuse = (fault: CheckpointError['fault'], what: string, hint = AGAIN): never => {
    throw new CheckpointError(fault, `Tensor ${name} in ${file} ${what}.`, { hint });
  };
  if (!isJsonObject(entry)) return refuse('header_entry', 'is not described by an object');
  const [dtype, shape, offsets] = ['dtype', 'shape', 'data_offsets'].map(key => entry.get(key));
  if (typeof dtype !== 'string') return refuse('header_entry', 'has no dtype');
  if (!isDType(dtype)) {
    const hint = `ertacache reads ${Object.keys(DTYPE_BYTES).join(', ')}: take the checkpoint in one of these.`;
    return refuse('dtype', `has the element type ${dtype}, which ertacache does not read`, hint);
  }
  if (!isNumbers(shape)) return refuse('header_entry', 'has no shape');
  if (!isNumbers(offsets) || offsets.length !== 2) return refuse('header_entry', 'has no pair of data_offsets');

  const [begin, end] = offsets as [number, number];
  if (![begin, end].every(Number.isSafeInteger) || begin < 0 || begin > end) {
    return refuse('offsets', `has the data_offsets ${showShape(offsets)}, which are not a range of bytes`);
  }
  const bytes = byteLength(shape, DTYPE_BYTES[dtype]);
  if (bytes === undefined) return refuse('tensor_size', `has the impossible shape ${showShape(shape)}`);
  const data = size - dataStart;
  if (end > data && bytes === end - begin) {
    const message = `${file} is cut short: tensor ${name} ends at byte ${end} of the data, which has ${data}.`;
    throw new CheckpointError('truncated_data', message, { hint: AGAIN });
  }
  if (end > data) return refuse('offsets', `ends at byte ${end} of the data, which has only ${data}`);
  if (bytes !== end - begin) {
    return refuse('tensor_size', `needs ${bytes} bytes for ${dtype} ${showShape(shape)} but has ${end - begin}`);
  }
  return { dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

function isNumbers(value: Json | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every(item => typeof item === 'number');
}

/** Bytes of a tensor; undefined when a dimension is not a size or the product cannot be counted. */
function byteLength(shape: readonly number[], width: number): number | undefined {
  let bytes = width;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return undefined;
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
}

function checkCover(tensors: readonly [string, TensorSpan][], dataStart: number, size: number, file: string): void {
  let covered = dataStart;
  for (const [name, { begin, end }] of tensors) {
    if (begin !== covered) {
      const what =
        begin < covered ? 'shares bytes with the tensor before it' : 'leaves a gap of unused bytes before it';
      throw new CheckpointError('offsets', `Tensor ${name} in ${file} ${what}.`, { hint: AGAIN });
    }
    covered = end;
  }
  if (covered === size) return;
  const message = `${file} holds ${size - covered} bytes at its end that belong to no tensor.`;
  throw new CheckpointError('offsets', message, { hint: AGAIN });
}
