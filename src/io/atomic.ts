import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IoError } from '../errors';
import { systemCode, writeError } from './system-error';

/** Bytes written to disk beside where they belong, not yet under their name. */
export interface StagedFile {
  /** Puts the file under its name, replacing what was there. */
  commit(): Promise<void>;
  /** Throws the bytes away. */
  discard(): Promise<void>;
}

/**
 * Writes a file so that its name never holds half of it: whoever looks sees the old content or the new one, also after
 * a crash or on a full disk. Missing folders are made.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string): Promise<void> {
  const staged = await stageFile(path, bytes);
  await staged.commit();
}

/** The first half of `writeFileAtomic`, for files that should appear together. */
export async function stageFile(path: string, bytes: Uint8Array | string): Promise<StagedFile> {
  const target = resolve(path);
  const partial = partialName(target);
  const discard = () => rm(partial, { force: true });
  try {
    await mkdir(dirname(target), { recursive: true });
    const file = await open(partial, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await discard().catch(() => {});
    throw writeError(path, error);
  }
  const commit = async () => {
    try {
      await rename(partial, target);
      await syncFolder(dirname(target));
    } catch (error) {
      await discard().catch(() => {});
      throw writeError(path, error);
    }
  };
  return { commit, discard };
}

export interface FolderOptions {
  /** Decides from the names in a folder that is already there whether it may be replaced; unless given, it may not. */
  mayReplace?: ((names: readonly string[]) => boolean) | undefined;
}

/**
 * Fills a folder so that it appears complete or not at all: `fill` writes into a folder beside, which then takes the
 * name. A folder that is already there and not empty is replaced only where `mayReplace` says so.
 */
export async function withAtomicFolder<T>(
  path: string,
  fill: (folder: string) => Promise<T>,
  options: FolderOptions = {},
): Promise<T> {
  const target = resolve(path);
  const partial = partialName(target);
  await assertReplaceable(path, options);
  try {
    await mkdir(partial, { recursive: true });
    const result = await fill(partial);
    await syncFolder(partial);
    await replaceFolder(partial, target);
    await syncFolder(dirname(target));
    return result;
  } catch (error) {
    await rm(partial, { recursive: true, force: true }).catch(() => {});
    throw concerns(error, target, partial) ? writeError(path, error) : error;
  }
}

/** True for failures of the folder itself; `fill` may also fail on files of its own, whose names say enough. */
function concerns(error: unknown, target: string, partial: string): boolean {
  const code = systemCode(error);
  if (code === undefined) return false;
  const path = String((error as { path?: unknown }).path ?? '');
  return code === 'ENOSPC' || code === 'EDQUOT' || path.startsWith(partial) || target.startsWith(path);
}

async function assertReplaceable(path: string, options: FolderOptions): Promise<void> {
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw writeError(path, error);
  }
  if (names.length === 0 || options.mayReplace?.(names)) return;
  throw new IoError(`The folder ${path} is already there and holds other files.`, {
    hint: 'Choose another name, or remove the folder first.',
  });
}

/** A folder cannot be renamed over a full one, so the old one steps aside first and returns if the new one fails. */
async function replaceFolder(from: string, to: string): Promise<void> {
  const aside = partialName(to);
  const hadOld = await rename(to, aside).then(
    () => true,
    error => {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await rename(from, to);
  } catch (error) {
    if (hadOld) await rename(aside, to);
    throw error;
  }
  if (hadOld) await rm(aside, { recursive: true, force: true });
}

/** A name in the same folder, so that the final rename stays on one file system. */
function partialName(target: string): string {
  return join(dirname(target), `.${basename(target).slice(0, 100)}.${randomBytes(6).toString('hex')}.partial`);
}

/** Makes a rename durable; some systems cannot open folders, and there it is durable as far as it can be. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  } catch {}
}
