import { constants, copyFile, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { IoError } from '../errors';
import { fileHash } from './file-hash';
import { disk, syncFolder } from './fs';
import { lockBeside, withLock } from './lock';
import { leftovers, stagedName } from './staged';
import { systemCode, writeError } from './system-error';

export interface FolderOptions {
  /**
   * The paths of the files in a folder that ertacache wrote, with forward slashes; undefined where the folder is none
   * of its own. Unless given, no folder is.
   */
  own?: ((folder: string) => Promise<ReadonlySet<string> | undefined>) | undefined;
  /** What happens to other files in a folder of ertacache's: they stay in it, or (unless said) it is not replaced. */
  others?: 'keep' | 'refuse' | undefined;
}

/**
 * Fills a folder so that it appears complete or not at all: `fill` writes into a folder beside, which then takes the
 * name. A folder that is already there and not empty is replaced only where it is ertacache's own; other people's files
 * are never removed. Of two runs that write the same folder, the second is refused.
 */
export async function withAtomicFolder<T>(
  path: string,
  fill: (folder: string) => Promise<T>,
  options: FolderOptions = {},
): Promise<T> {
  const target = await targetOf(path);
  const parent = dirname(target);
  // Before the lock, which lies beside it: one who may write into a mount may often not write there.
  await requireNoMount(path);
  const made = await disk.mkdir(parent).catch(error => {
    throw writeError(path, error);
  });
  try {
    return await withLock(lockBeside(target), path, () => fillLocked(path, target, fill, options));
  } catch (error) {
    if (made !== undefined) await removeEmpty(parent, made);
    throw error;
  }
}

/** Behind links: what they lead to is replaced, not they. */
const targetOf = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));

async function fillLocked<T>(
  path: string,
  target: string,
  fill: (folder: string) => Promise<T>,
  options: FolderOptions,
): Promise<T> {
  const partial = stagedName(target, 'new');
  try {
    await clearLeftovers(target, options);
    await requireReplaceable(path, options);
    await disk.mkdirNew(partial);
    const result = await fill(partial);
    await syncFolder(partial);
    // Once more: the work may have taken hours.
    await requireReplaceable(path, options, partial);
    await keepOthers(target, partial, options);
    await replaceFolder(partial, target, options);
    return result;
  } catch (error) {
    await disk.remove(partial).catch(() => {});
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

/**
 * @param filled the new folder, where it is ready: a file of the user's may not have the name of one in it
 * @throws IoError when a folder is already there that may not be replaced
 */
export async function requireReplaceable(path: string, options: FolderOptions, filled?: string): Promise<void> {
  await requireNoMount(path);
  let files: string[];
  try {
    files = await filesIn(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw writeError(path, error);
  }
  if (files.length === 0) return;
  const own = await options.own?.(path);
  const others = own && files.filter(file => !own.has(file));
  if (others?.length === 0) return;
  if (!others || options.others !== 'keep') {
    throw new IoError(`The folder ${path} is already there and holds other files.`, {
      hint: 'Choose another name, or remove the folder first.',
    });
  }
  if (!filled) return;
  const taken = new Set(await filesIn(filled));
  const both = others.find(file => taken.has(file));
  if (both === undefined) return;
  throw new IoError(`${join(path, both)} was not written by ertacache and would be replaced.`, {
    hint: 'Move that file, or choose another folder.',
  });
}

/** @throws IoError for the top folder of a disk: it cannot step aside, which would be found out after the work */
async function requireNoMount(path: string): Promise<void> {
  const target = await targetOf(path);
  const parent = dirname(target);
  const [own, above] = await Promise.all([target, parent].map(folder => stat(folder).catch(() => undefined)));
  if (!own?.isDirectory() || (target !== parent && own.dev === above?.dev)) return;
  throw new IoError(`${path} is a mount point and cannot be replaced as a whole.`, {
    hint: 'Give a folder inside it.',
  });
}

/** A folder cannot be renamed over a full one, so the old one steps aside first and returns if the new one fails. */
async function replaceFolder(from: string, to: string, options: FolderOptions): Promise<void> {
  const aside = stagedName(to, 'old');
  const hadOld = await disk.rename(to, aside).then(
    () => true,
    error => {
      if (systemCode(error) === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await disk.rename(from, to);
  } catch (error) {
    if (hadOld) await disk.rename(aside, to);
    throw error;
  }
  await syncFolder(dirname(to));
  if (hadOld) await retire(aside, to, options);
}

/** Gives the files in a folder that are not ertacache's a place in the one that replaces it. */
async function keepOthers(target: string, partial: string, { own }: FolderOptions): Promise<void> {
  const ours = await own?.(target);
  for (const file of await filesIn(target).catch(() => [])) {
    if (!ours?.has(file)) await keepOne(join(target, file), join(partial, file));
  }
}

/** A second name for a file; a copy where the file system has no such names. A name that is taken stays as it is. */
async function keepOne(from: string, to: string): Promise<void> {
  await disk.mkdir(dirname(to));
  await disk.link(from, to).catch(async error => {
    if (systemCode(error) === 'EEXIST') return;
    await copyFile(from, to, constants.COPYFILE_EXCL);
  });
}

/** Removes a folder that has been replaced, when all that is not ertacache's in it is in the new one as well. */
async function retire(old: string, target: string, { own }: FolderOptions): Promise<void> {
  const ours = await own?.(old);
  for (const file of await filesIn(old)) {
    if (ours?.has(file)) continue;
    // One that came while the new folder was filled.
    await keepOne(join(old, file), join(target, file));
    if (!(await isSame(join(old, file), join(target, file)))) return;
  }
  // Under another name first: half of it must not look like a folder to return to.
  const rubbish = stagedName(target, 'new');
  await disk.rename(old, rubbish);
  await disk.remove(rubbish);
}

async function isSame(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all([lstat(a), lstat(b)]);
  if (left.ino === right.ino && left.dev === right.dev) return true;
  if (!left.isFile() || !right.isFile() || left.size !== right.size) return false;
  return (await fileHash(a)) === (await fileHash(b));
}

/** What runs that are gone have left: a folder that had stepped aside returns where its place is empty. */
async function clearLeftovers(target: string, options: FolderOptions): Promise<void> {
  for (const { path, kind } of await leftovers(target)) {
    if (kind === 'new') await disk.remove(path);
    else if (await isThere(target)) await retire(path, target, options);
    else await disk.rename(path, target);
  }
}

/** Paths of all files in a folder and in those inside it, with forward slashes. */
async function filesIn(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter(entry => !entry.isDirectory())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

const isThere = async (path: string): Promise<boolean> => (await lstat(path).catch(() => undefined)) !== undefined;

/** Removes the folders from `innermost` up to `outermost` that are empty. */
async function removeEmpty(innermost: string, outermost: string): Promise<void> {
  for (let folder = innermost; folder.length >= outermost.length; folder = dirname(folder)) {
    await disk.rmdir(folder).catch(() => {});
  }
}
