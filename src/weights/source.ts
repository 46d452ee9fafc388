import { CheckpointError } from '../errors';
import type { ByteFile } from '../io/byte-file';
import { dequantise } from './dequantise';
import { elements, isDType } from './dtype';
import { blockOf, isBlockType, type StoredType, storedBytes } from './stored-type';
import { widenToFloat32, widenToInt32 } from './widen';

export type { StoredType } from './stored-type';

/** One factor for a whole tensor, or one for each row: each index of its first axis. */
export type Scale = number | Float32Array;

/** What is known of a tensor before it is read. */
export interface TensorEntry {
  /** Element type, as stored. */
  readonly dtype: StoredType;
  /** As stored: in PyTorch's order, unless it is laid out. */
  readonly shape: readonly number[];
  /** Stored as layers want it (`laidOutShape`), as in graph models. */
  readonly isLaidOut?: boolean | undefined;
  /** Number of elements. */
  readonly size: number;
  /** What its values are multiplied by once they are widened. */
  readonly scale?: Scale | undefined;
  /** Bytes that it takes where it is stored. */
  readonly bytes: number;
  /** Name of the file that holds it. */
  readonly file: string;
  /** Offset of its first byte there, or in the files in a row where several are read as one. */
  readonly begin: number;
}

/** A run of elements of a tensor, in row-major order. */
export interface Slice {
  /** First element. */
  readonly start: number;
  /** Number of elements. */
  readonly count: number;
}

/** Named tensors that are read when asked for, from wherever they lie. */
export interface TensorSource {
  /** Sorted by code unit, so that the order does not depend on how the tensors were stored. */
  readonly names: readonly string[];
  /** The files beneath, with their sizes in bytes. */
  readonly files: readonly { readonly name: string; readonly size: number }[];
  /**
   * Whether there is a tensor of this name.
   * @param name name of a tensor
   * @returns whether it is there
   */
  has(name: string): boolean;
  /**
   * What is known of a tensor without reading it.
   * @param name name of a tensor
   * @returns type, shape and place
   * @throws CheckpointError `missing_key`
   */
  entry(name: string): TensorEntry;
  /**
   * Values as float32, the whole tensor or a slice of it.
   * @param name name of a tensor
   * @param slice which elements; all by default
   * @returns the values, row-major
   */
  read(name: string, slice?: Slice): Promise<Float32Array<ArrayBuffer>>;
  /**
   * Values of an integer tensor.
   * @param name name of a tensor
   * @param slice which elements; all by default
   * @returns the values, row-major
   * @throws NumericError for floating types and integers beyond 32 bits
   */
  readInts(name: string, slice?: Slice): Promise<Int32Array<ArrayBuffer>>;
  /**
   * The bytes as stored.
   * @param name name of a tensor
   * @param slice which elements; all by default; whole blocks of a quantised type
   * @returns bytes, little-endian
   */
  readRaw(name: string, slice?: Slice): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The same into `target`, which has exactly that many bytes.
   * @param name name of a tensor
   * @param target memory for the bytes
   * @param slice which elements; all by default
   */
  readInto(name: string, target: Uint8Array, slice?: Slice): Promise<void>;
  /**
   * Values as float32 of bytes that were read raw. May look at the same memory.
   * @param name name of the tensor that the bytes are of
   * @param bytes what `readRaw` or `readInto` gave
   * @param start the element that they begin with; the first by default
   * @returns the values, row-major
   */
  widen(name: string, bytes: Uint8Array<ArrayBuffer>, start?: number): Float32Array<ArrayBuffer>;
  /** The files beneath are larger than memory: reading them goes past the system's page cache where it can. */
  bypassCache(): void;
  /** Closes the files beneath. */
  close(): Promise<void>;
}

/** Where and how one tensor is stored. */
export interface StoredTensor {
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  readonly file: ByteFile;
  readonly isLaidOut?: boolean | undefined;
  /** Offset of its first byte in `file`. */
  readonly begin: number;
  /** How errors and listings call the file, where `file` is a view of several. */
  readonly fileName?: string | undefined;
  /** Only with `Q8`. */
  readonly quantization?: { readonly scale: number; readonly min: number } | undefined;
  /** What its values are multiplied by once they are widened. */
  readonly scale?: Scale | undefined;
}

/** A source over tensors whose places are known. `close` closes `files`. */
export function tensorSource(
  tensors: ReadonlyMap<string, StoredTensor>,
  files: readonly ByteFile[],
  where: string,
): TensorSource {
  function find(name: string): StoredTensor {
    const tensor = tensors.get(name);
    if (tensor) return tensor;
    throw new CheckpointError('missing_key', `${where} holds no tensor ${name}.`, {
      hint: 'List what it holds with `ertacache info`.',
    });
  }

  function range(name: string, slice?: Slice): { file: ByteFile; begin: number; end: number } {
    const { dtype, shape, file, begin } = find(name);
    const { start, count } = slice ?? { start: 0, count: elements(shape) };
    if (start < 0 || count < 0 || start + count > elements(shape)) {
      throw new RangeError(`elements ${start} to ${start + count} are not in tensor ${name}`);
    }
    const block = blockOf(dtype).elements;
    if (start % block !== 0 || count % block !== 0) {
      throw new RangeError(`elements ${start} to ${start + count} of tensor ${name} are not whole blocks of ${block}`);
    }
    return { file, begin: begin + storedBytes(dtype, start), end: begin + storedBytes(dtype, start + count) };
  }

  async function readRaw(name: string, slice?: Slice): Promise<Uint8Array<ArrayBuffer>> {
    const { file, begin, end } = range(name, slice);
    return file.read(begin, end);
  }

  function widen(name: string, bytes: Uint8Array<ArrayBuffer>, start = 0): Float32Array<ArrayBuffer> {
    const stored = find(name);
    return scaled(valuesOf(bytes, stored), stored, start);
  }

  async function read(name: string, slice?: Slice): Promise<Float32Array<ArrayBuffer>> {
    const block = blockOf(find(name).dtype).elements;
    if (!slice || block === 1) return widen(name, await readRaw(name, slice), slice?.start);
    const start = Math.floor(slice.start / block) * block;
    const end = Math.ceil((slice.start + slice.count) / block) * block;
    const values = widen(name, await readRaw(name, { start, count: end - start }), start);
    return values.subarray(slice.start - start, slice.start - start + slice.count);
  }

  return {
    names: [...tensors.keys()].sort(),
    files,
    has: name => tensors.has(name),
    entry(name) {
      const { dtype, shape, isLaidOut, scale, file, fileName, begin } = find(name);
      const size = elements(shape);
      const bytes = storedBytes(dtype, size);
      return { dtype, shape, isLaidOut, scale, size, bytes, file: fileName ?? file.name, begin };
    },
    read,
    async readInts(name, slice) {
      const { dtype } = find(name);
      return widenToInt32(await readRaw(name, slice), isDType(dtype) ? dtype : 'F32', name);
    },
    readRaw,
    async readInto(name, target, slice) {
      const { file, begin, end } = range(name, slice);
      if (target.length !== end - begin) {
        throw new RangeError(`${end - begin} bytes of tensor ${name} do not fill ${target.length}`);
      }
      await file.readInto(begin, target);
    },
    widen,
    bypassCache() {
      for (const file of files) file.bypassCache();
    },
    close: async () => void (await Promise.all(files.map(file => file.close()))),
  };
}

/** Values times the scale of their tensor. @param start the element that they begin with */
export function scaled(
  values: Float32Array<ArrayBuffer>,
  { scale, shape }: { readonly scale?: Scale | undefined; readonly shape: readonly number[] },
  start: number,
): Float32Array<ArrayBuffer> {
  if (scale === undefined) return values;
  if (typeof scale === 'number') return values.map(value => value * scale);
  const width = elements(shape.slice(1));
  return values.map((value, i) => value * scale[Math.floor((start + i) / width)]!);
}

function valuesOf(
  bytes: Uint8Array<ArrayBuffer>,
  { dtype, quantization }: Pick<StoredTensor, 'dtype' | 'quantization'>,
): Float32Array<ArrayBuffer> {
  if (isBlockType(dtype)) return dequantise(bytes, dtype);
  if (dtype !== 'Q8') return widenToFloat32(bytes, dtype);
  const { scale, min } = quantization!;
  return Float32Array.from(bytes, byte => byte * scale + min);
}

/** Slices of at most `count` elements that make up a tensor of `size` elements. */
export function* slices(size: number, count: number): Generator<Slice> {
  for (let start = 0; start < size; start += count) yield { start, count: Math.min(count, size - start) };
}
