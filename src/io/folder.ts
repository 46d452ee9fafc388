import { IoError } from '../errors';
import { type ByteFile, memoryFile } from './byte-file';

/** How a file of a folder is opened. */
export interface FileOptions {
  /** Holds nothing open between reads: for models of more files than a process may hold open. */
  readonly transient?: boolean | undefined;
}

/**
 * Files by their relative paths, with forward slashes, wherever they lie: on a disk, in memory, on a server. All that
 * reading a model needs, so that whoever offers these few functions can bring models from anywhere.
 */
export interface Folder {
  /** How errors call the folder. */
  readonly name: string;
  /**
   * How errors call a file of it.
   * @param path relative path of a file
   * @returns the path as the user would open it
   */
  pathTo(path: string): string;
  /**
   * Whether there is a file at this path. A folder is none.
   * @param path relative path of a file
   * @returns whether it is there
   * @throws IoError for a link to a file that is not there: something is missing then
   */
  has(path: string): Promise<boolean>;
  /**
   * Opens a file.
   * @param path relative path of the file
   * @param options how it is kept open
   * @returns the file; its caller closes it
   * @throws IoError when there is no such file
   */
  open(path: string, options?: FileOptions): Promise<ByteFile>;
  /**
   * Paths of the files in it and in the folders one level below; servers have no such list.
   * @returns relative paths
   */
  list?(): Promise<readonly string[]>;
}

/**
 * A folder whose files are in memory; they are not copied.
 * @param name how errors call it; its last part names the model
 * @param files bytes by relative path
 * @returns the folder
 * @example
 * const bytes = async path => new Uint8Array(await (await fetch(`/models/heart/${path}`)).arrayBuffer());
 * const paths = ['model.json', 'group1-shard1of1.bin', 'pipeline.json'];
 * const files = new Map(await Promise.all(paths.map(async path => [path, await bytes(path)])));
 * const model = await openModel(memoryFolder('heart', files));
 */
export function memoryFolder(name: string, files: ReadonlyMap<string, Uint8Array>): Folder {
  const pathTo = (path: string): string => fileIn(name, path);
  return {
    name,
    pathTo,
    has: async path => files.has(path),
    async open(path) {
      const bytes = files.get(path);
      if (bytes) return memoryFile(pathTo(path), bytes);
      throw new IoError(`${pathTo(path)} does not exist.`, { hint: 'Give the bytes of every file of the model.' });
    },
    list: async () => [...files.keys()],
  };
}

/** A folder inside another. It need not be there; then it holds no files. */
export function within(folder: Folder, path: string): Folder {
  const { list } = folder;
  return {
    name: folder.pathTo(path),
    pathTo: file => folder.pathTo(`${path}/${file}`),
    has: file => folder.has(`${path}/${file}`),
    open: (file, options) => folder.open(`${path}/${file}`, options),
    ...(list && {
      list: async () =>
        (await list()).filter(file => file.startsWith(`${path}/`)).map(file => file.slice(path.length + 1)),
    }),
  };
}

/** The bytes of a whole file. @throws IoError */
export async function readBytesIn(folder: Folder, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const file = await folder.open(path);
  try {
    return await file.read(0, file.size);
  } finally {
    await file.close();
  }
}

/**
 * A small text file whole.
 * @param limit most bytes that are taken into memory
 * @throws IoError when it is not there, or is larger than `limit`
 */
export async function readTextIn(folder: Folder, path: string, limit = 100_000_000): Promise<string> {
  const file = await folder.open(path);
  try {
    if (file.size > limit) throw tooLong(file.name, file.size);
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await file.read(0, file.size));
  } finally {
    await file.close();
  }
}

/** The error of a text file that is far larger than any of its kind. */
export function tooLong(name: string, size: number): IoError {
  return new IoError(`${name} has ${size} bytes, far more than a file of its kind.`, { hint: 'Look what it holds.' });
}

/** How errors call a file of the folder that they call `where`. */
export function fileIn(where: string, file: string): string {
  return `${where.replace(/[/\\]+$/, '')}/${file}`;
}

/** The last part of a path or an address. */
export function lastPart(path: string): string {
  return path.split(/[/\\]/).findLast(part => part !== '') ?? path;
}
