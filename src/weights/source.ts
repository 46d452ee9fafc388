import { CheckpointError } from '../errors';
import type { ByteFile } from '../io/byte-file';
import { DTYPE_BYTES, type DType, elements } from './dtype';
import { widenToFloat32, widenToInt32 } from './widen';

/** How a tensor is stored: a safetensors type, or `Q8`, unsigned bytes that mean `byte * scale + min`. */
export type StoredType = DType | 'Q8';

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
   * @param slice which elements; all by default
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
   * @returns the values, row-major
   */
  widen(name: string, bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
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
}

/** Bytes of one element as stored. */
export function storedBytes(dtype: StoredType): number {
  return dtype === 'Q8' ? 1 : DTYPE_BYTES[dtype];
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
    const width = storedBytes(dtype);
    return { file, begin: begin + start * width, end: begin + (start + count) * width };
  }

  async function readRaw(name: string, slice?: Slice): Promise<Uint8Array<ArrayBuffer>> {
    const { file, begin, end } = range(name, slice);
    return file.read(begin, end);
  }

  function widen(name: string, bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
    const { dtype, quantization } = find(name);
    if (dtype !== 'Q8') return widenToFloat32(bytes, dtype);
    const { scale, min } = quantization!;
    return Float32Array.from(bytes, byte => byte * scale + min);
  }

  return {
    names: [...tensors.keys()].sort(),
    files,
    has: name => tensors.has(name),
    entry(name) {
      const { dtype, shape, isLaidOut, file, fileName, begin } = find(name);
      const size = elements(shape);
      return { dtype, shape, isLaidOut, size, bytes: size * storedBytes(dtype), file: fileName ?? file.name, begin };
    },
    read: async (name, slice) => widen(name, await readRaw(name, slice)),
    async readInts(name, slice) {
      const { dtype } = find(name);
      return widenToInt32(await readRaw(name, slice), dtype === 'Q8' ? 'F32' : dtype, name);
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

/** Slices of at most `count` elements that make up a tensor of `size` elements. */
export function* slices(size: number, count: number): Generator<Slice> {
  for (let start = 0; start < size; start += count) yield { start, count: Math.min(count, size - start) };
}
