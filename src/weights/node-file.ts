import { closeSync, constants, openSync, read } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { IoError } from '../errors';
import { systemCode } from '../media/system-error';
import { allDone, type ByteFile, outside } from './byte-file';

/**
 * What one system call reads. Those of a large range are all asked for at once: Node's four threads then keep a disk
 * busy, also while JavaScript computes.
 */
const READ_BYTES = 2 ** 23;

/** Reads at most `length` bytes to `offset` of `target`. @returns how many it read, 0 at the end of the file */
type ReadPart = (target: Uint8Array, offset: number, length: number, position: number) => Promise<number>;

/** Opens a file for ranged reads; it stays open until `close`. */
export async function openFile(path: string): Promise<ByteFile> {
  const size = await fileSize(path);
  const handle = await open(path, constants.O_RDONLY).catch(error => {
    throw ioError(path, error);
  });
  const part: ReadPart = async (...where) => (await handle.read(...where)).bytesRead;
  return {
    name: path,
    size,
    read: (begin, end) => readRange(part, path, begin, end),
    readInto: (begin, target) => fill(part, path, begin, target),
    close: () => handle.close(),
  };
}

/** Files that transient reads may hold open at a time; the usual limit of a process is 1024. */
const MAX_OPEN = 256;
let openNow = 0;
const waiting: (() => void)[] = [];

/** A file that is opened anew for each read: for models of more files than a process may hold open. */
export async function transientFile(path: string): Promise<ByteFile> {
  const size = await fileSize(path);
  async function opened<T>(work: (part: ReadPart) => Promise<T>): Promise<T> {
    while (openNow >= MAX_OPEN) await new Promise<void>(resolve => waiting.push(resolve));
    openNow++;
    try {
      const file = openAtOnce(path);
      try {
        return await work(async (...where) => (await readAsync(file, ...where)).bytesRead);
      } finally {
        closeSync(file);
      }
    } finally {
      openNow--;
      waiting.shift()?.();
    }
  }
  return {
    name: path,
    size,
    read: (begin, end) => opened(part => readRange(part, path, begin, end)),
    readInto: (begin, target) => opened(part => fill(part, path, begin, target)),
    close: async () => {},
  };
}

const readAsync = promisify(read);

/** Without waiting, so that the reads themselves are under way when the caller goes on to compute. */
function openAtOnce(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY);
  } catch (error) {
    throw ioError(path, error);
  }
}

/**
 * Reads a small text file whole.
 * @param limit most bytes that are taken into memory
 * @throws IoError when it is not there, is no file, or is larger than `limit`
 */
export async function readText(path: string, limit = 100_000_000): Promise<string> {
  const size = await fileSize(path);
  if (size > limit) {
    throw new IoError(`${path} has ${size} bytes, far more than a file of its kind.`, { hint: 'Look what it holds.' });
  }
  return readFile(path, 'utf8').catch(error => {
    throw ioError(path, error);
  });
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

/** An IoError for a failed system call. */
export function ioError(path: string, error: unknown): IoError {
  const code = systemCode(error) ?? '';
  const known: Record<string, string> = {
    ENOENT: `${path} does not exist.`,
    EACCES: `${path} may not be read or written by this user.`,
    EPERM: `${path} may not be read or written by this user.`,
    EISDIR: `${path} is a folder, not a file.`,
    ENOSPC: `The disk is full: ${path} could not be written.`,
    EMFILE: `Too many files are open to open ${path}.`,
  };
  return new IoError(known[code] ?? `${path} could not be read or written${code ? ` (${code})` : ''}.`, {
    hint: 'Check the path, its permissions and the space on the disk.',
    cause: error,
  });
}

async function fileSize(path: string): Promise<number> {
  const info = await stat(path).catch(error => {
    throw ioError(path, error);
  });
  if (info.isFile()) return info.size;
  throw new IoError(`${path} is not a file.`, { hint: 'Give the path of a file.' });
}

async function readRange(part: ReadPart, path: string, begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(end - begin);
  await fill(part, path, begin, out);
  return out;
}

async function fill(part: ReadPart, path: string, begin: number, target: Uint8Array): Promise<void> {
  const count = Math.ceil(target.length / READ_BYTES);
  await allDone(
    Array.from({ length: count }, async (_, i) => {
      const piece = target.subarray(i * READ_BYTES, (i + 1) * READ_BYTES);
      const from = begin + i * READ_BYTES;
      for (let done = 0; done < piece.length; ) {
        const got = await part(piece, done, piece.length - done, from + done).catch(error => {
          throw ioError(path, error);
        });
        if (got === 0) throw outside(path, begin, begin + target.length, from + done);
        done += got;
      }
    }),
  );
}
