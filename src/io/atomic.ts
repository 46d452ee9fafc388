import { copyFile, lstat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { disk, syncFolder, writeNew } from './fs';
import { lockBeside, withLock } from './lock';
import { leftovers, stagedName } from './staged';
import { systemCode, writeError } from './system-error';

/** Bytes written to disk beside where they belong, not yet under their name. */
export interface StagedFile {
  /** Where they belong. */
  readonly path: string;
  /** Puts the file under its name, replacing what was there. */
  commit(): Promise<void>;
  /** Throws the bytes away. */
  discard(): Promise<void>;
}

/**
 * Writes a file so that its name never holds half of it: whoever looks sees the old content or the new one, also after
 * a crash or on a full disk. Missing folders are made. What earlier runs left on the way to this name is cleared.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array | string): Promise<void> {
  const staged = await stageFile(path, bytes);
  await staged.commit();
}

/** The first half of `writeFileAtomic`, for files that should appear together. */
export async function stageFile(path: string, bytes: Uint8Array | string): Promise<StagedFile> {
  const target = resolve(path);
  const partial = stagedName(target, 'new');
  const discard = () => disk.remove(partial).catch(() => {});
  try {
    await disk.mkdir(dirname(target));
    await clearLeftovers(target);
    await writeNew(partial, bytes);
  } catch (error) {
    await discard();
    throw writeError(path, error);
  }
  const commit = async () => {
    try {
      await disk.rename(partial, target);
      await syncFolder(dirname(target));
    } catch (error) {
      await discard();
      throw writeError(path, error);
    }
  };
  return { path, commit, discard };
}

/** How long another run may take for the same files; renames take no time. */
const PATIENCE_MS = 10_000;

/** One step of a change of several files: a file appears, or the file of a name goes. */
export type FileChange = StagedFile | { readonly path: string; readonly commit?: undefined };

/**
 * Makes all of the changes, in this order, or none of them. Only a run that is killed between two can leave the first
 * without the second; the order decides which of them that may be.
 * @param path the file that the others belong to
 */
export async function commitAll(path: string, changes: readonly FileChange[]): Promise<void> {
  // Of two runs that write the same files, one does after the other, so that files which belong together stay so.
  const lock = lockBeside(path);
  let isTried = false;
  try {
    await withLock(
      lock,
      path,
      () => {
        isTried = true;
        return commitInTurn(changes);
      },
      PATIENCE_MS,
    );
  } catch (error) {
    if (!isTried) for (const change of changes) if (change.commit) await change.discard();
    throw error;
  }
}

async function commitInTurn(changes: readonly FileChange[]): Promise<void> {
  const kept: { readonly path: string; readonly copy: string | undefined }[] = [];
  try {
    for (const { path } of changes) {
      if (!kept.some(k => k.path === path)) kept.push({ path, copy: await keepCopy(path) });
    }
    for (const change of changes) {
      if (change.commit) await change.commit();
      else await removeFile(change.path);
    }
  } catch (error) {
    for (const { path, copy } of kept) {
      await (copy ? disk.rename(copy, path) : removeFile(path)).catch(() => {});
    }
    for (const change of changes) if (change.commit) await change.discard();
    throw error;
  }
  for (const { copy } of kept) if (copy) await disk.unlink(copy).catch(() => {});
}

/** A second name for what is there now, to come back under the first. @returns nothing where there is no such file */
async function keepCopy(path: string): Promise<string | undefined> {
  const copy = stagedName(resolve(path), 'old');
  try {
    await disk.link(path, copy);
    return copy;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    // Some file systems know no second names.
    await copyFile(path, copy).catch(failed => {
      throw writeError(path, failed);
    });
    return copy;
  }
}

async function removeFile(path: string): Promise<void> {
  await disk.unlink(path).catch(error => {
    if (systemCode(error) !== 'ENOENT') throw writeError(path, error);
  });
}

/** Files that runs which are gone have left: what had stepped aside returns where its place is empty, the rest goes. */
async function clearLeftovers(target: string): Promise<void> {
  for (const { path, kind } of await leftovers(target)) {
    const isMissing = kind === 'old' && !(await lstat(target).catch(() => undefined));
    await (isMissing ? disk.rename(path, target) : disk.remove(path));
  }
}
