import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Folder } from './folder';
import { ioError, isFile, openFile, refuseDeadLink, transientFile } from './node-file';

/** A folder on disk. It need not be there; then it holds no files. */
export function diskFolder(path: string): Folder {
  const pathTo = (file: string): string => join(path, file);
  return {
    name: path,
    pathTo,
    async has(file) {
      if (await isFile(pathTo(file))) return true;
      await refuseDeadLink(pathTo(file));
      return false;
    },
    open: (file, { transient = false } = {}) => (transient ? transientFile : openFile)(pathTo(file)),
    list: () => listed(path),
  };
}

async function listed(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(error => {
    throw ioError(path, error);
  });
  const found: string[] = [];
  for (const entry of entries) {
    // Hubs keep a model as links to files that lie elsewhere.
    if (!entry.isDirectory()) found.push(entry.name);
    if (!entry.isDirectory() && !entry.isSymbolicLink()) continue;
    const inner = await readdir(join(path, entry.name)).catch(() => []);
    found.push(...inner.map(name => `${entry.name}/${name}`));
  }
  return found;
}
