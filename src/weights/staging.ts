import { cp, mkdir, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { UsageError } from '../errors';
import { ioError, isFolder, readText } from '../io/node-file';
import { MODEL_JSON, parseManifest } from './manifest';

export interface StagingOptions {
  /** Replaces a converted model that is there already. */
  readonly force?: boolean | undefined;
  /** What is being converted: it is never overwritten. */
  readonly source: string;
}

/**
 * Writes a folder so that it appears whole or not at all: `write` fills a temporary folder beside `out`, which takes
 * its place at the end. When anything fails, nothing stays.
 * @throws UsageError when `out` is taken
 */
export async function writeFolder<T>(
  out: string,
  options: StagingOptions,
  write: (folder: string) => Promise<T>,
): Promise<T> {
  const target = await realpath(out).catch(() => resolve(out));
  const foreign = await checkTarget(out, target, options);
  const parent = dirname(target);
  const created = await mkdir(parent, { recursive: true }).catch(error => {
    throw ioError(parent, error);
  });
  const staging = `${target}.${process.pid}.partial`;
  try {
    await mkdir(staging).catch(error => {
      throw ioError(staging, error);
    });
    const result = await write(staging);
    for (const file of foreign) await cp(join(target, file), join(staging, file), { force: false });
    await swap(staging, target);
    return result;
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    if (created !== undefined) await removeEmpty(parent, created);
    throw error;
  }
}

/** @returns files in the target that are not the converter's, to be kept when the model is replaced */
async function checkTarget(out: string, target: string, { force, source }: StagingOptions): Promise<string[]> {
  const from = await realpath(source).catch(() => resolve(source));
  if (from === target || from.startsWith(target + sep)) {
    throw new UsageError(`${out} is, or holds, the model that is to be converted.`, { hint: 'Give another folder.' });
  }
  const info = await stat(target).catch(() => undefined);
  if (!info) return [];
  if (!info.isDirectory()) throw new UsageError(`${out} is a file.`, { hint: 'Give the name of a new folder.' });
  const files = (await readdir(target, { recursive: true, withFileTypes: true }))
    .filter(entry => !entry.isDirectory())
    .map(entry => relative(target, join(entry.parentPath, entry.name)).split(sep).join('/'));
  if (files.length === 0) return [];
  if (!force) {
    throw new UsageError(`${out} is not empty.`, { hint: 'Pass --force to replace the converted model in it.' });
  }
  const own = await ownFiles(target);
  if (own) return files.filter(file => !own.has(file));
  throw new UsageError(`${out} holds no converted model, so --force does not replace it.`, {
    hint: 'Remove the folder yourself, or give another one.',
  });
}

/** Files that an earlier conversion wrote into a folder; undefined when it wrote none. */
async function ownFiles(folder: string): Promise<ReadonlySet<string> | undefined> {
  try {
    const { shards, constants, files } = parseManifest(await readText(join(folder, MODEL_JSON)), MODEL_JSON);
    return new Set([MODEL_JSON, ...[...shards, ...constants, ...files].map(file => file.path)]);
  } catch {
    return undefined;
  }
}

async function swap(staging: string, target: string): Promise<void> {
  if (!(await isFolder(target))) return rename(staging, target);
  const old = `${target}.${process.pid}.old.partial`;
  await rename(target, old);
  try {
    await rename(staging, target);
  } catch (error) {
    await rename(old, target);
    throw error;
  }
  await rm(old, { recursive: true });
}

/** Removes the folders from `innermost` up to `outermost` that are empty. */
async function removeEmpty(innermost: string, outermost: string): Promise<void> {
  for (let folder = innermost; folder.length >= outermost.length; folder = dirname(folder)) {
    await rmdir(folder).catch(() => {});
  }
}
