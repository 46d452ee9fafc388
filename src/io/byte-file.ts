import { CheckpointError } from '../errors';

/** Bytes that can be read in ranges: a file, a part of memory, or several of them in a row. */
export interface ByteFile {
  /** How errors call it: the path as the user would open it. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** Tells one content of the file from another, where the place that it lies in can: by the time of its last change. */
  readonly version?: string | undefined;
  /**
   * A fresh copy of the bytes `begin … end - 1`.
   * @param begin first byte
   * @param end one past the last byte
   * @returns the bytes
   * @throws CheckpointError `truncated_data` when they are not all there
   * @throws IoError when reading fails
   */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Fills `target` with the bytes from `begin` on. When it fails, nothing more is written to `target`.
   * @param begin first byte
   * @param target memory of as many bytes as are to be read
   * @throws CheckpointError `truncated_data` when they are not all there
   * @throws IoError when reading fails
   */
  readInto(begin: number, target: Uint8Array): Promise<void>;
  /**
   * From here on large reads into memory that lies in its pages as the bytes lie in the file (`placeInPage`) go past
   * the system's page cache, where system and disk can do that. For files that are read again and again and do not
   * fit in it: every read would copy each byte once more, and push out what others keep there.
   */
  bypassCache(): void;
  /** Closes the file; it can no longer be read. */
  close(): Promise<void>;
}

/**
 * A file whose bytes are in memory.
 * @param name how errors call it
 * @param bytes its content; it is not copied
 * @returns the file
 */
export function memoryFile(name: string, bytes: Uint8Array): ByteFile {
  function part(begin: number, end: number): Uint8Array {
    if (begin < 0 || end > bytes.length) throw outside(name, begin, end, bytes.length);
    return bytes.subarray(begin, end);
  }
  return {
    name,
    size: bytes.length,
    read: async (begin, end) => Uint8Array.from(part(begin, end)),
    readInto: async (begin, target) => target.set(part(begin, begin + target.length)),
    bypassCache() {},
    close: async () => {},
  };
}

/** Files read as if they were one, in this order. */
export function joinedFile(name: string, files: readonly ByteFile[]): ByteFile {
  const starts = [0];
  for (const file of files) starts.push(starts.at(-1)! + file.size);
  const size = starts.at(-1)!;

  async function readInto(begin: number, target: Uint8Array): Promise<void> {
    const end = begin + target.length;
    if (begin < 0 || end > size) throw outside(name, begin, end, size);
    const parts = files.flatMap((file, i) => {
      const from = Math.max(begin, starts[i]!);
      const to = Math.min(end, starts[i + 1]!);
      return from < to ? [file.readInto(from - starts[i]!, target.subarray(from - begin, to - begin))] : [];
    });
    await allDone(parts);
  }

  return {
    name,
    size,
    readInto,
    async read(begin, end) {
      const out = new Uint8Array(Math.max(0, end - begin));
      await readInto(begin, out);
      return out;
    },
    bypassCache() {
      for (const file of files) file.bypassCache();
    },
    close: async () => void (await Promise.all(files.map(file => file.close()))),
  };
}

/** Waits until all have ended, whether well or not, and only then throws the first error, or gives what they gave. */
export async function allDone<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  return results.map(result => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** The error of a read beyond the end, which means that a file was changed after it was opened. */
export function outside(name: string, begin: number, end: number, size: number): CheckpointError {
  return new CheckpointError('truncated_data', `${name} has ${size} bytes; bytes ${begin} to ${end} are not in it.`, {
    hint: 'The file was changed or cut while it was in use; download or convert it again.',
  });
}
