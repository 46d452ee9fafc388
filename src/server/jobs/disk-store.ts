import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../io/atomic';
import { disk } from '../../io/fs';
import { systemCode } from '../../io/system-error';
import { type Job, jobSchema } from './job';
import type { JobStore } from './store';

const RECORD = 'job.json';
/** Names of jobs' folders. */
const KEY = /^[0-9a-f]{32}$/;

/**
 * Jobs in a folder: one folder a job, with `job.json` and its files.
 *
 * Plain files that appear whole (`io/atomic`) and no database: a server has some thousands of jobs, each is written
 * three or four times, and nothing is asked of them but by key. They can be looked at, copied and cleared with what every
 * system has, and need no package with a native part. `job.json` is the mark: it is written before the job is answered
 * for, says "completed" only after the files are there, and goes first when a job is removed. What has none is a leftover.
 * @param folder the server's data folder; whoever calls this holds its lock
 * @param onFault told of a job that cannot be read; it stays where it is
 */
export async function diskStore(folder: string, onFault: (message: string) => void): Promise<JobStore> {
  const home = join(folder, 'jobs');
  await disk.mkdir(home);
  const jobs = await readJobs(home, onFault);
  const place = ({ key }: Job, name: string): string => join(home, key, name);
  return {
    isLasting: true,
    async put(job) {
      await writeFileAtomic(place(job, RECORD), `${JSON.stringify(job, null, 1)}\n`);
      jobs.set(job.key, job);
    },
    get: key => jobs.get(key),
    byToken: token => [...jobs.values()].find(job => job.token === token),
    all: () => [...jobs.values()].sort((a, b) => a.created - b.created),
    async putFile(job, name, bytes) {
      await writeFileAtomic(place(job, name), bytes);
    },
    async file(job, name) {
      try {
        return await readFile(place(job, name));
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    async remove(job) {
      jobs.delete(job.key);
      await disk.unlink(place(job, RECORD)).catch(() => {});
      await disk.remove(join(home, job.key));
    },
    async close() {},
  };
}

async function readJobs(home: string, onFault: (message: string) => void): Promise<Map<string, Job>> {
  const jobs = new Map<string, Job>();
  for (const key of await readdir(home)) {
    if (!KEY.test(key)) continue;
    const text = await readFile(join(home, key, RECORD), 'utf8').catch(() => undefined);
    // Begun and never answered for, or half removed.
    if (text === undefined) await disk.remove(join(home, key));
    else {
      const job = parsed(text);
      if (job?.key === key) jobs.set(key, job);
      else
        onFault(`${join(home, key, RECORD)} is not a job that this version of ertacache can read; it is left alone.`);
    }
  }
  return jobs;
}

function parsed(text: string): Job | undefined {
  try {
    return jobSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
