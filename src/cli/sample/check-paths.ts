import { extname, resolve, sep } from 'node:path';
import { UsageError } from '../../errors';
import type { Task } from './tasks';

/** Files that one command writes and reads beside its pictures, by the options that name them. */
interface Named {
  readonly written: Readonly<Record<string, string | undefined>>;
  readonly read: Readonly<Record<string, string | undefined>>;
}

const isFolder = (path: string): boolean => /[\\/]$/.test(path);

/**
 * Refuses two outputs of one name, and outputs over what the run reads: the later one would take the place of the other
 * without a word.
 */
export function requireOwnPaths(tasks: readonly Task[], { written, read }: Named): void {
  const pictures = new Set(tasks.map(({ out, name }) => resolve(out ?? name)));
  // A folder of frames is replaced with all that lies in it, and the receipt beside a clip with the clip.
  const folders = tasks.flatMap(({ out }) => (out !== undefined && isFolder(out) ? [resolve(out)] : []));
  const isPicture = (path: string): boolean =>
    pictures.has(path) ||
    (extname(path) !== '' && pictures.has(path.slice(0, -extname(path).length))) ||
    folders.some(folder => path.startsWith(`${folder}${sep}`));
  const taken = new Map<string, string>();
  for (const [option, path] of Object.entries(read)) {
    if (!path) continue;
    const full = resolve(path);
    if (isPicture(full)) {
      throw new UsageError(`${option} reads ${path}, and a picture of this run would take its place.`, {
        hint: 'Give another file as --out, or another folder as --out-dir.',
      });
    }
    taken.set(full, `${option} reads it`);
  }
  for (const [option, path] of Object.entries(written)) {
    if (!path) continue;
    const full = resolve(path);
    const other = taken.get(full) ?? (isPicture(full) ? 'a picture of this run is written there' : undefined);
    if (other !== undefined) {
      throw new UsageError(`${option} names ${path}, and ${other}.`, { hint: `Give another file as ${option}.` });
    }
    taken.set(full, `${option} writes it`);
  }
}
