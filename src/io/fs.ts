import { type FileHandle, link, mkdir, open, rename, rm, rmdir, stat, unlink, utimes } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { systemCode } from './system-error';

/**
 * Every change that ertacache makes to what lies on a disk. All writing goes through these few functions, so that
 * a test can make any one of them fail, or end the run at it, and see what is left.
 */
export const disk = {
  /** Makes a folder and those above it. @returns the outermost that was made */
  mkdir: (path: string): Promise<string | undefined> => makeFolder(path),
  /** Makes a folder that must not be there yet. */
  mkdirNew: (path: string): Promise<void> => mkdir(path),
  /** `wx` makes a new file, `w` begins one anew, `a` goes on with one. */
  open: (path: string, flags: 'wx' | 'w' | 'a'): Promise<FileHandle> => open(path, flags),
  write: (file: FileHandle, bytes: Uint8Array | string): Promise<void> => file.writeFile(bytes),
  sync: (file: FileHandle): Promise<void> => file.sync(),
  rename: (from: string, to: string): Promise<void> => renamePatiently(from, to),
  /** A second name for a file; the name must be free. */
  link: (from: string, to: string): Promise<void> => link(from, to),
  unlink: (path: string): Promise<void> => unlink(path),
  rmdir: (path: string): Promise<void> => rmdir(path),
  /** Removes a file, or a folder with everything in it. Only for what this run made, or what bears a name of ours. */
  remove: (path: string): Promise<void> => rm(path, { recursive: true, force: true }),
  /** Sets the time of the last change to now. */
  touch: (path: string): Promise<void> => utimes(path, new Date(), new Date()),
};

async function makeFolder(path: string): Promise<string | undefined> {
  try {
    return await mkdir(path, { recursive: true });
  } catch (error) {
    // Windows refuses to make the root of a drive although it is there.
    const isThere = await stat(path).then(
      info => info.isDirectory(),
      () => false,
    );
    if (!isThere) throw error;
    return undefined;
  }
}

/** What Windows says of a file that another program has open, such as a scanner of what is new: mostly not for long. */
const IN_USE: readonly (string | undefined)[] = ['EPERM', 'EACCES', 'EBUSY'];
const PATIENCE_MS = 5000;

async function renamePatiently(from: string, to: string): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  for (let pause = 10; ; pause = Math.min(2 * pause, 500)) {
    try {
      return await rename(from, to);
    } catch (error) {
      const mayPass = process.platform === 'win32' && IN_USE.includes(systemCode(error));
      if (!mayPass || Date.now() > end) throw error;
    }
    await wait(pause);
  }
}

/** Writes a new file and waits until it is on the disk; when that fails, there is none. */
export async function writeNew(path: string, bytes: Uint8Array | string): Promise<void> {
  const file = await disk.open(path, 'wx');
  try {
    await disk.write(file, bytes);
    await disk.sync(file);
  } catch (error) {
    await disk.unlink(path).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
}

/** Makes renames in a folder durable; some systems cannot open folders, and there it is durable as far as it can be. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  } catch {}
}
