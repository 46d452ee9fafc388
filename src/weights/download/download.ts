import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { IoError } from '../../errors';
import { isFile } from '../../io/node-file';
import { type FetchOptions, fetchFile, partialPath, sizeOf } from './fetch-file';
import { neededFiles } from './needed';
import { type HubFile, hubAddress, listRepository } from './repository';

/** What a download brings. */
export interface DownloadPlan {
  readonly name: string;
  readonly commit: string;
  readonly files: readonly HubFile[];
  readonly bytes: number;
}

/** Which files of a repository a model is loaded from, and how much they are. Nothing is written. */
export async function planDownload(name: string, revision: string, options: FetchOptions = {}): Promise<DownloadPlan> {
  const repository = await listRepository(name, revision, options);
  const files = neededFiles(repository);
  const { commit } = repository;
  return { name, commit, files, bytes: files.reduce((sum, file) => sum + file.size, 0) };
}

/**
 * Brings the files of a plan into `folder`, one after another; run again, it continues where it stopped.
 * @throws IoError when the disk has no room for what is missing
 */
export async function download(plan: DownloadPlan, folder: string, options: FetchOptions = {}): Promise<void> {
  await mkdir(folder, { recursive: true });
  await checkSpace(plan, folder);
  for (const file of plan.files) {
    const url = hubAddress(options, plan.name, 'resolve', plan.commit, file.path);
    await fetchFile(url, file, join(folder, ...file.path.split('/')), options);
  }
}

async function checkSpace({ files }: DownloadPlan, folder: string): Promise<void> {
  const missing = await Promise.all(
    files.map(async ({ path, size }) => {
      const target = join(folder, path);
      return (await isFile(target)) ? 0 : Math.max(0, size - (await sizeOf(partialPath(target))));
    }),
  );
  const needed = missing.reduce((a, b) => a + b, 0);
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= needed) return;
  throw new IoError(`The download takes ${needed} bytes, but the disk of ${folder} has ${bavail * bsize} left.`, {
    hint: 'Free some space, or give a folder on another disk as --out.',
  });
}
