import { readdir, realpath, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { UsageError } from '../errors';
import { withAtomicFolder } from '../io/atomic-folder';
import { readText } from '../io/node-file';
import { MODEL_JSON, parseManifest } from './manifest';

export interface StagingOptions {
  /** Replaces a converted model that is there already. */
  readonly force?: boolean | undefined;
  /** What is being converted: it is never overwritten. */
  readonly source: string;
}

/**
 * Writes the folder of a converted model so that it appears whole or not at all. Files in it that are not the
 * converter's stay.
 * @throws UsageError when `out` is taken
 */
export async function writeModelFolder<T>(
  out: string,
  options: StagingOptions,
  write: (folder: string) => Promise<T>,
): Promise<T> {
  await checkTarget(out, options);
  return withAtomicFolder(out, write, { own: options.force ? ownFiles : undefined, others: 'keep' });
}

async function checkTarget(out: string, { force, source }: StagingOptions): Promise<void> {
  const target = await realpath(out).catch(() => resolve(out));
  const from = await realpath(source).catch(() => resolve(source));
  if (from === target || from.startsWith(target + sep)) {
    throw new UsageError(`${out} is, or holds, the model that is to be converted.`, { hint: 'Give another folder.' });
  }
  const info = await stat(target).catch(() => undefined);
  if (!info) return;
  if (!info.isDirectory()) throw new UsageError(`${out} is a file.`, { hint: 'Give the name of a new folder.' });
  const entries = await readdir(target, { recursive: true, withFileTypes: true });
  if (entries.every(entry => entry.isDirectory())) return;
  if (!force) {
    throw new UsageError(`${out} is not empty.`, {
      hint: 'Give another folder, or replace the converted model in it (force, --force).',
    });
  }
  if (await ownFiles(target)) return;
  throw new UsageError(`${out} holds no converted model, so --force does not replace it.`, {
    hint: 'Remove the folder yourself, or give another one.',
  });
}

/** Files that an earlier conversion wrote into a folder; undefined when it wrote none. */
async function ownFiles(folder: string): Promise<ReadonlySet<string> | undefined> {
  try {
    const { shards, constants, files } = parseManifest(await readText(`${folder}/${MODEL_JSON}`), MODEL_JSON);
    return new Set([MODEL_JSON, ...[...shards, ...constants, ...files].map(file => file.path)]);
  } catch {
    return undefined;
  }
}
