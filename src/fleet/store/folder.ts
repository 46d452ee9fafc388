import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../io/atomic';
import { disk } from '../../io/fs';
import { systemCode } from '../../io/system-error';
import type { FileStore } from './store';

/** Files in a folder: of this machine, or one that all machines have mounted. */
export function folderStore(folder: string): FileStore {
  const orNothing = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  };
  return {
    shown: folder,
    get: name => orNothing(readFile(join(folder, name))),
    put: (name, bytes) => writeFileAtomic(join(folder, name), bytes),
    has: async name => (await orNothing(stat(join(folder, name)))) !== undefined,
    remove: async name => void (await orNothing(disk.unlink(join(folder, name)))),
  };
}
