import { lstat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { IoError, UsageError } from '../../errors';
import { disk } from '../../io/fs';
import { LOCK_FILE, withLock } from '../../io/lock';
import { note } from '../../io/notes';
import { writeError } from '../../io/system-error';
import { companionOf } from './companion';
import { type FetchOptions, fetchFile, isFetched, partialPath, sizeOf } from './fetch-file';
import { type Needed, neededFiles } from './needed';
import { type DownloadRecord, openRecord } from './record';
import { type HubFile, hubAddress, listRepository } from './repository';

/** What a download brings. */
export interface DownloadPlan {
  readonly name: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
  /** What the commit holds beside them: weights of another variant, pictures. */
  readonly others: readonly HubFile[];
  /** Those of `beside` included. */
  readonly bytes: number;
  /** Repositories of which parts are taken; each goes into a folder of its own name. */
  readonly beside: readonly DownloadPlan[];
}

/** How a download is planned. */
export interface PlanOptions extends FetchOptions, Needed {}

/** Which files of a repository a model is loaded from, and how much they are. Nothing is written. */
export async function planDownload(name: string, revision: string, options: PlanOptions = {}): Promise<DownloadPlan> {
  const { subfolder, variant, ...rest } = options;
  const repository = await listRepository(name, revision, rest);
  const files = neededFiles(repository, { subfolder, variant });
  const { commit } = repository;
  const others = repository.files.filter(file => !files.includes(file));
  const companion = await companionOf(repository, files, rest);
  const beside = companion === undefined ? [] : [await planDownload(companion, 'main', rest)];
  const bytes = [...files.map(({ size }) => size), ...beside.map(plan => plan.bytes)].reduce((a, b) => a + b, 0);
  return { name, commit, files, others, bytes, beside };
}

/**
 * Brings the files of a plan into `folder`, one after another; run again, it continues where it stopped. Files that are
 * there and right are left alone; those of another version are replaced, or removed where this one has no such file, if
 * a download brought them.
 * @throws UsageError when another file of the user's has the name of one, or the folder holds another repository, before
 *   anything is fetched; IoError when the disk has no room for what is missing, or another run brings files into it
 */
export async function download(plan: DownloadPlan, folder: string, options: FetchOptions = {}): Promise<void> {
  await disk.mkdir(folder).catch(error => Promise.reject(writeError(folder, error)));
  await withLock(join(folder, LOCK_FILE), folder, () => fetchMissing(plan, folder, options));
  for (const other of plan.beside) await download(other, join(folder, ...other.name.split('/')), options);
}

async function fetchMissing(plan: DownloadPlan, folder: string, options: FetchOptions): Promise<void> {
  const record = await openRecord(folder, plan);
  const missing: HubFile[] = [];
  for (const file of plan.files) {
    options.signal?.throwIfAborted();
    const path = pathIn(folder, file);
    if (await isFetched(path, file)) options.onBytes?.(file.size);
    else missing.push(file);
  }
  for (const file of missing) await requireReplaceable(pathIn(folder, file), record.brought(file.path));
  await checkSpace(missing, folder);
  for (const file of missing) {
    // Noted first, so that the file is known as the download's however the run ends.
    await record.note(file);
    const url = hubAddress(options, plan.name, 'resolve', plan.commit, file.path);
    await fetchFile(url, file, pathIn(folder, file), options);
  }
  await removeStale(plan, folder, record);
}

/**
 * Removes what downloads brought of other versions of the repository and this one does not have: an old index of shards
 * would be read in place of a new single file. Weights of this version that are not in the plan stay, as does what was
 * changed since it was brought.
 */
async function removeStale({ files, others }: DownloadPlan, folder: string, record: DownloadRecord): Promise<void> {
  const listed = new Map([...files, ...others].map(file => [file.path, file.digest.hex]));
  const planned = new Set(files.map(file => file.path));
  for (const name of record.paths) {
    const path = pathIn(folder, { path: name });
    if (planned.has(name) || !(await isThere(path))) continue;
    for (const file of record.brought(name)) {
      if (file.digest.hex === listed.get(name) || !(await isFetched(path, file))) continue;
      await disk.unlink(path).catch(error => Promise.reject(writeError(path, error)));
      note(`${path} was removed: an earlier download brought it, and this version of the model is without it.`);
      break;
    }
  }
}

const pathIn = (folder: string, { path }: Pick<HubFile, 'path'>): string => join(folder, ...path.split('/'));

/** @param brought versions of the file that a download brought */
async function requireReplaceable(path: string, brought: readonly HubFile[]): Promise<void> {
  if (!(await isThere(path))) return;
  for (const file of brought) if (await isFetched(path, file)) return;
  throw new UsageError(`${path} is already there and is not the file of the repository.`, {
    hint: 'Move that file, or give another folder (--out).',
  });
}

const isThere = async (path: string): Promise<boolean> => (await lstat(path).catch(() => undefined)) !== undefined;

async function checkSpace(missing: readonly HubFile[], folder: string): Promise<void> {
  const rests = await Promise.all(
    missing.map(async file => Math.max(0, file.size - (await sizeOf(partialPath(pathIn(folder, file), file))))),
  );
  const needed = rests.reduce((a, b) => a + b, 0);
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= needed) return;
  throw new IoError(`The download takes ${needed} bytes, but the disk of ${folder} has ${bavail * bsize} left.`, {
    hint: 'Free some space, or give a folder on another disk (--out).',
  });
}
