import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { batches } from '../../calibration/pairs';
import { UsageError } from '../../errors';
import { disk } from '../../io/fs';
import { isLockBeside, LOCK_FILE } from '../../io/lock';
import { isStagedName } from '../../io/staged';
import type { Comparison, ComparisonRequest } from './comparison';
import { cellName, differenceName, floatsName, pictureName, REFERENCE } from './names';

/** The page of a comparison. */
export const PAGE_FILE = 'index.html';
/** What every page says of itself. */
export const PAGE_MARK = '<meta name="generator" content="ertacache">';

/** Files by which a run that is going on, or was cut, may be seen in a folder. */
const isPassing = (name: string): boolean => name === LOCK_FILE || isStagedName(name);

/** @throws UsageError unless there is nothing in the folder yet */
export async function requireEmpty(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  if (names.every(isPassing)) return;
  throw new UsageError(`${folder} holds other files and no comparison of ertacache.`, {
    hint: 'Give a new or an empty folder as --out.',
  });
}

/** The files that a comparison keeps, by their names: nothing else in its folder is ever removed. */
export function comparisonFiles({ request, calibrated = [] }: Pick<Comparison, 'request' | 'calibrated'>): string[] {
  const { methods, budgets, evaluation } = request;
  const cells = budgets.flatMap(budget => methods.map(method => cellName(method, budget)));
  const pairs = [...evaluation.keys()];
  return [
    PAGE_FILE,
    ...pairs.map(pair => pictureName(REFERENCE, pair)),
    ...cells.flatMap(cell => pairs.flatMap(pair => [pictureName(cell, pair), differenceName(cell, pair)])),
    ...calibrated.flatMap(name => [name, name.replace(/\.json$/, '.safetensors')]),
    ...referenceFiles(request),
  ];
}

/** The files that only a run that goes on would need. */
export function referenceFiles({ evaluation, batch }: Pick<ComparisonRequest, 'evaluation' | 'batch'>): string[] {
  return batches(evaluation, batch).map((_, b) => floatsName(b));
}

/** Removes these files of a comparison, what cut runs left on the way to them, and folders that are then empty. */
export async function removeFiles(folder: string, files: readonly string[]): Promise<void> {
  const folders = new Set<string>();
  for (const file of files) {
    const parts = file.split('/');
    for (let i = 1; i < parts.length; i++) folders.add(parts.slice(0, i).join('/'));
    await disk.unlink(join(folder, file)).catch(absent);
  }
  // The innermost first.
  for (const name of [...folders].sort((a, b) => b.length - a.length)) {
    await clearPassing(join(folder, name));
    await disk.rmdir(join(folder, name)).catch(() => {});
  }
}

/** Removes what cut runs left beside these files of a comparison. */
export async function clearBeside(folder: string, files: readonly string[]): Promise<void> {
  for (const name of new Set(files.map(file => dirname(file)))) await clearPassing(join(folder, name));
}

/** Only the run that holds the folder's lock may do this: whatever is staged or locked in it belongs to nobody. */
async function clearPassing(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (isStagedName(name) || (await isLockBeside(path))) await disk.remove(path);
  }
}

/** @throws UsageError when a page is there that no comparison wrote */
export async function requireOwnPage(folder: string): Promise<void> {
  const text = await readFile(join(folder, PAGE_FILE), 'utf8').catch(() => undefined);
  if (text === undefined || text.includes(PAGE_MARK)) return;
  throw new UsageError(`${join(folder, PAGE_FILE)} is no page of ertacache and is not replaced.`, {
    hint: 'Move that file, or choose another --out.',
  });
}

function absent(error: { readonly code?: unknown }): void {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}
