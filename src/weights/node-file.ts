import { constants } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { IoError } from '../errors';
import { type ByteFile, outside } from './byte-file';

/** Most that one system call reads; Node refuses 2 GiB. */
const READ_BYTES = 2 ** 30;

/** Opens a file for ranged reads; it stays open until `close`. */
export async function openFile(path: string): Promise<ByteFile> {
  const size = await fileSize(path);
  const handle = await open(path, constants.O_RDONLY).catch(error => {
    throw ioError(path, error);
  });
  return {
    name: path,
    size,
    read: (begin, end) => readRange(handle, path, begin, end),
    close: () => handle.close(),
  };
}

/** A file that is opened anew for each read: for models of more files than a process may hold open. */
export async function transientFile(path: string): Promise<ByteFile> {
  const size = await fileSize(path);
  async function read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const handle = await open(path, constants.O_RDONLY).catch(error => {
      throw ioError(path, error);
    });
    try {
      return await readRange(handle, path, begin, end);
    } finally {
      await handle.close();
    }
  }
  return { name: path, size, read, close: async () => {} };
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
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
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

async function readRange(
  handle: FileHandle,
  path: string,
  begin: number,
  end: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(end - begin);
  let done = 0;
  while (done < out.length) {
    const length = Math.min(out.length - done, READ_BYTES);
    const { bytesRead } = await handle.read(out, done, length, begin + done).catch(error => {
      throw ioError(path, error);
    });
    if (bytesRead === 0) throw outside(path, begin, end, begin + done);
    done += bytesRead;
  }
  return out;
}
