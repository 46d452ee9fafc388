import { closeSync, constants, openSync, read, type Stats } from 'node:fs';
import { lstat, open, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { IoError } from '../errors';
import { PAGE, placeInPage } from './aligned';
import { allDone, type ByteFile, outside } from './byte-file';
import { decodeText } from './decode-text';
import { tooLong } from './folder';
import { systemCode } from './system-error';

/**
 * What one system call reads. Those of a large range are all asked for at once: Node's four threads then keep a disk
 * busy, also while JavaScript computes.
 */
const READ_BYTES = 2 ** 23;

/** Reads at most `length` bytes to `offset` of `target`. @returns how many it read, 0 at the end of the file */
type ReadPart = (target: Uint8Array, offset: number, length: number, position: number) => Promise<number>;

/** How a file is read: through the system's page cache, and past it where that is wanted and can be done. */
interface Readers {
  readonly cached: ReadPart;
  /** Reads whole pages only, and no others than it was asked for; nothing where it cannot. */
  readonly direct?: ((...where: Parameters<ReadPart>) => Promise<number> | undefined) | undefined;
}

/** Opens a file for ranged reads; it stays open until `close`. */
export async function openFile(path: string): Promise<ByteFile> {
  const { size, mtimeMs, ino } = await fileInfo(path);
  const handle = await open(path, constants.O_RDONLY).catch(error => {
    throw ioError(path, error);
  });
  const cached: ReadPart = async (...where) => (await handle.read(...where)).bytesRead;
  let past: number | undefined;
  const readers = (): Readers => ({ cached, ...(past !== undefined && { direct: directPart(past) }) });
  return {
    name: path,
    size,
    version: `${size}-${mtimeMs}-${ino}`,
    read: (begin, end) => readRange({ cached }, path, begin, end),
    readInto: (begin, target) => fill(readers(), path, begin, target),
    bypassCache() {
      past ??= openDirect(path);
    },
    async close() {
      if (past !== undefined) closeSync(past);
      past = undefined;
      await handle.close();
    },
  };
}

/** Files that transient reads may hold open at a time; the usual limit of a process is 1024. */
const MAX_OPEN = 256;
let openNow = 0;
const waiting: (() => void)[] = [];

/** A file that is opened anew for each read: for models of more files than a process may hold open. */
export async function transientFile(path: string): Promise<ByteFile> {
  const { size } = await fileInfo(path);
  let isPast = false;
  async function opened<T>(work: (readers: Readers) => Promise<T>): Promise<T> {
    while (openNow >= MAX_OPEN) await new Promise<void>(resolve => waiting.push(resolve));
    openNow++;
    try {
      const file = openAtOnce(path);
      const past = isPast ? openDirect(path) : undefined;
      try {
        return await work({ cached: partOf(file), ...(past !== undefined && { direct: directPart(past) }) });
      } finally {
        closeSync(file);
        if (past !== undefined) closeSync(past);
      }
    } finally {
      openNow--;
      waiting.shift()?.();
    }
  }
  return {
    name: path,
    size,
    read: (begin, end) => opened(readers => readRange(readers, path, begin, end)),
    readInto: (begin, target) => opened(readers => fill(readers, path, begin, target)),
    bypassCache() {
      isPast = true;
    },
    close: async () => {},
  };
}

const readAsync = promisify(read);
const partOf =
  (file: number): ReadPart =>
  async (...where) =>
    (await readAsync(file, ...where)).bytesRead;

/** A file descriptor that reads past the page cache, or nothing where the system or the place has no such thing. */
function openDirect(path: string): number | undefined {
  if (constants.O_DIRECT === undefined) return undefined;
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECT);
  } catch {
    return undefined;
  }
}

/** The whole pages of a range, where memory and file agree on pages; what it does not read is left to the cache. */
function directPart(file: number): Readers['direct'] {
  return (target, offset, length, position) => {
    const pages = Math.floor(length / PAGE) * PAGE;
    if (pages === 0 || position % PAGE !== 0 || placeInPage(target.subarray(offset)) !== 0) return undefined;
    // EINVAL where memory does not lie as was guessed.
    return readAsync(file, target, offset, pages, position).then(
      ({ bytesRead }) => bytesRead,
      () => 0,
    );
  };
}

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
 * @throws IoError when it is not there, is not a file, is larger than `limit`, or is not UTF-8 (UTF-16 with its mark is)
 */
export async function readText(path: string, limit = 100_000_000): Promise<string> {
  const { size } = await fileInfo(path);
  if (size > limit) throw tooLong(path, size);
  const bytes = await readFile(path).catch(error => {
    throw ioError(path, error);
  });
  return decodeText(bytes, path);
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

/**
 * Refuses a link that leads nowhere, as a hub's cache holds where its blobs were removed.
 * @throws IoError
 */
export async function refuseDeadLink(path: string): Promise<void> {
  if (!(await lstat(path).catch(() => undefined))?.isSymbolicLink()) return;
  if (await stat(path).catch(() => undefined)) return;
  throw new IoError(`${path} is a link to a file that is not there.`, {
    hint: 'Download the repository that it belongs to again.',
  });
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
    hint: code === 'ENOENT' ? 'Check the path.' : 'Check the path, its permissions and the space on the disk.',
    cause: error,
  });
}

async function fileInfo(path: string): Promise<Stats> {
  const info = await stat(path).catch(async error => {
    await refuseDeadLink(path);
    throw ioError(path, error);
  });
  if (info.isFile()) return info;
  throw new IoError(`${path} is not a file.`, { hint: 'Give the path of a file.' });
}

async function readRange(readers: Readers, path: string, begin: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(end - begin);
  await fill(readers, path, begin, out);
  return out;
}

async function fill({ cached, direct }: Readers, path: string, begin: number, target: Uint8Array): Promise<void> {
  const end = begin + target.length;
  await allDone(
    cuts(begin, end).map(async (from, i, all) => {
      const piece = target.subarray(from - begin, (all[i + 1] ?? end) - begin);
      // No waiting for what is not done: a read must be under way when the caller goes on to compute.
      const pages = direct?.(piece, 0, piece.length, from);
      let done = pages ? await pages : 0;
      while (done < piece.length) {
        const got = await cached(piece, done, piece.length - done, from + done).catch(error => {
          throw ioError(path, error);
        });
        if (got === 0) throw outside(path, begin, end, from + done);
        done += got;
      }
    }),
  );
}

/** Where the pieces of a range begin: first what is left of a page, then `READ_BYTES` each. */
function cuts(begin: number, end: number): number[] {
  const aligned = Math.min(end, Math.ceil(begin / PAGE) * PAGE);
  const count = Math.ceil((end - aligned) / READ_BYTES);
  const rest = Array.from({ length: count }, (_, i) => aligned + i * READ_BYTES);
  return aligned > begin ? [begin, ...rest] : rest;
}
