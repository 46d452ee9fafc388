import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { disk, writeNew } from './fs';
import { leftovers, stagedName } from './staged';
import { systemCode, writeError } from './system-error';

/** More than a disk that is just about full has left. */
const TRIAL = new Uint8Array(4096);
const TRIAL_NAME = 'trial';

/**
 * Tries whether a file could be written under this name, so that hours of work are not done for nothing. Nothing stays.
 * @throws IoError saying why it could not
 */
export async function requireWritable(path: string): Promise<void> {
  const target = resolve(path);
  const info = await stat(target).catch(error => {
    if (systemCode(error) === 'ENAMETOOLONG') throw writeError(path, error);
  });
  if (info?.isDirectory()) throw writeError(path, Object.assign(new Error(), { code: 'EISDIR', syscall: 'open' }));
  await tryIn(await existing(dirname(target), path), path);
}

/** The same for files in a folder, which need not be there yet. */
export async function requireWritableFolder(path: string): Promise<void> {
  await tryIn(await existing(resolve(path), path), path);
}

/** The innermost folder on the way to `folder` that is there. */
async function existing(folder: string, path: string): Promise<string> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const info = await stat(at);
      if (info.isDirectory()) return at;
      throw Object.assign(new Error(), { code: 'ENOTDIR', syscall: 'mkdir' });
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || at === dirname(at)) throw writeError(path, error);
    }
  }
}

async function tryIn(folder: string, path: string): Promise<void> {
  const trial = stagedName(join(folder, TRIAL_NAME), 'new');
  try {
    for (const left of await leftovers(join(folder, TRIAL_NAME))) await disk.remove(left.path);
    await writeNew(trial, TRIAL);
    await disk.unlink(trial);
  } catch (error) {
    throw writeError(path, error);
  }
}
