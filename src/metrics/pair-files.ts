import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { UsageError } from '../errors';
import { isPictureName } from '../media/read';

/** Two files to compare. */
export interface FilePair {
  name: string;
  a: string;
  b: string;
}

export interface Pairing {
  pairs: FilePair[];
  /** Files of either folder that the other one lacks. */
  unmatched: string[];
}

/**
 * What to compare of two paths: the pictures of the same name where both are folders; otherwise the two themselves,
 * where a folder beside a file counts as a clip of frames.
 */
export async function pairFiles(a: string, b: string): Promise<Pairing> {
  if (!(await isFolder(a)) || !(await isFolder(b))) return { pairs: [{ name: basename(a), a, b }], unmatched: [] };
  const [inA, inB] = [await pictures(a), await pictures(b)];
  const shared = inA.filter(name => inB.includes(name));
  if (shared.length === 0) {
    throw new UsageError(`${a} and ${b} have no picture of the same name.`, {
      hint: 'Folders are compared file by file, by name.',
    });
  }
  return {
    pairs: shared.map(name => ({ name, a: join(a, name), b: join(b, name) })),
    unmatched: [
      ...inA.filter(name => !inB.includes(name)).map(name => join(a, name)),
      ...inB.filter(name => !inA.includes(name)).map(name => join(b, name)),
    ],
  };
}

async function isFolder(path: string): Promise<boolean> {
  // A missing path is reported by whoever reads it.
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

async function pictures(folder: string): Promise<string[]> {
  const byNumber = new Intl.Collator('en', { numeric: true });
  return (await readdir(folder)).filter(isPictureName).sort(byNumber.compare);
}
