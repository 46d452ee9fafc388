import { CheckpointError } from '../errors';

/** Bytes that can be read in ranges: a file, a part of memory, or several of them in a row. */
export interface ByteFile {
  /** How errors call it: the path as the user would open it. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /** A fresh copy of the bytes `begin … end - 1`. */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** A file whose bytes are in memory. */
export function memoryFile(name: string, bytes: Uint8Array): ByteFile {
  return {
    name,
    size: bytes.length,
    read: async (begin, end) => Uint8Array.from(bytes.subarray(begin, end)),
    close: async () => {},
  };
}

/** Files read as if they were one, in this order. */
export function joinedFile(name: string, files: readonly ByteFile[]): ByteFile {
  const starts = [0];
  for (const file of files) starts.push(starts.at(-1)! + file.size);
  const size = starts.at(-1)!;

  async function read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    if (begin < 0 || end > size) throw outside(name, begin, end, size);
    const out = new Uint8Array(end - begin);
    for (const [i, file] of files.entries()) {
      const from = Math.max(begin, starts[i]!);
      const to = Math.min(end, starts[i + 1]!);
      if (from < to) out.set(await file.read(from - starts[i]!, to - starts[i]!), from - begin);
    }
    return out;
  }

  return { name, size, read, close: async () => void (await Promise.all(files.map(file => file.close()))) };
}

/** The error of a read beyond the end, which means that a file was changed after it was opened. */
export function outside(name: string, begin: number, end: number, size: number): CheckpointError {
  return new CheckpointError('truncated_data', `${name} has ${size} bytes; bytes ${begin} to ${end} are not in it.`, {
    hint: 'The file was changed or cut while it was in use; download or convert it again.',
  });
}
