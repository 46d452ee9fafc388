import { setTimeout as wait } from 'node:timers/promises';
import { sidecarPath } from '../media/receipt';
import { isOver, type Job, jobSchema } from '../server/jobs/job';
import { type JobStore, PICTURE, type SharedJobs } from '../server/jobs/store';
import { heard } from './channels';
import { own } from './names';
import type { FleetQueue } from './queue';

const JOBS = own('jobs');
/** Set while servers may still tell of a job that was removed. */
const removed = ({ token }: Job): string => own('job-removed', token);
const REMOVED_S = 24 * 3600;

/**
 * Keeps the record of a job, unless it was removed, or is over already: of several servers that have a job, the first says
 * how it ended. Keys: all records, the mark of a removed one; arguments: the job's key, token and record.
 */
const PUT = `
if redis.call('exists', KEYS[2]) == 1 then return 0 end
local known = redis.call('hget', KEYS[1], ARGV[1])
if known then
  local job = cjson.decode(known)
  if job.token == ARGV[2] and (job.status == 'completed' or job.status == 'failed' or job.status == 'cancelled') then return 0 end
end
redis.call('hset', KEYS[1], ARGV[1], ARGV[3])
redis.call('publish', KEYS[1], ARGV[3])
return 1`;
const CANCEL = own('job-cancelled');
const LEFT = own('job-left');

/** So long the server that has a job may take to end it, in milliseconds; after that it is taken to be gone. */
const CANCEL_MS = 3000;
const LOOK_MS = 50;

const CANCELLED = { code: 'cancelled', message: 'The job was cancelled before it was finished.' };

/**
 * Jobs of all servers on one queue: in Redis, and their files in its store. Each server holds all records in memory, as
 * they are asked for at every request, and hears what the others change.
 */
export async function fleetJobStore({ redis, channels, store }: FleetQueue): Promise<JobStore> {
  const jobs = new Map<string, Job>();
  /** Keys that something was heard of since all records were asked for. */
  let news = new Set<string>();
  const recordOf = (text: string): Job | undefined => jobSchema.safeParse(heard(text)).data;
  const deaf = await channels.on(JOBS, message => {
    // A record, or the key of one that was removed.
    const job = message.startsWith('{') ? recordOf(message) : undefined;
    news.add(job?.key ?? message);
    if (job) jobs.set(job.key, job);
    else jobs.delete(message);
  });
  async function load(): Promise<void> {
    news = new Set();
    const found = (await redis.hvals(JOBS)).flatMap(text => recordOf(text) ?? []);
    const keys = new Set(found.map(({ key }) => key));
    for (const key of [...jobs.keys()]) if (!keys.has(key) && !news.has(key)) jobs.delete(key);
    for (const job of found) if (!news.has(job.key)) jobs.set(job.key, job);
  }
  await load();
  const put = async (job: Job): Promise<void> => {
    const isKept = await redis.eval(PUT, 2, JOBS, removed(job), job.key, job.token, JSON.stringify(job));
    if (isKept === 1) jobs.set(job.key, job);
  };
  const stopped: (() => void)[] = [deaf];
  const shared: SharedJobs = {
    async cancel(key) {
      const since = Date.now();
      await redis.publish(CANCEL, key);
      const isLeft = (): boolean => !isOver(jobs.get(key) ?? { status: 'cancelled' });
      while (isLeft() && Date.now() - since < CANCEL_MS) await wait(LOOK_MS);
      const job = jobs.get(key);
      if (job && isLeft()) await put({ ...job, status: 'cancelled', error: CANCELLED, finished: Date.now() });
    },
    leave: async key => void (await redis.publish(LEFT, key)),
    hear({ cancelled, left }) {
      channels.onBack(() => {
        const known = [...jobs.keys()];
        const catchUp = (): void => {
          for (const key of new Set([...known, ...jobs.keys()])) {
            const status = jobs.get(key)?.status;
            // Whoever has a job begins it at once: one that waits was left.
            if (status === 'queued') left(key);
            else if (status === undefined || status === 'cancelled') cancelled(key);
          }
        };
        load().then(catchUp, () => {});
      });
      for (const [channel, ear] of [[CANCEL, cancelled] as const, [LEFT, left] as const]) {
        channels.on(channel, ear).then(
          stop => stopped.push(stop),
          () => {},
        );
      }
    },
  };
  const place = ({ key }: Job, name: string): string => `${key}.${name}`;
  return {
    isLasting: true,
    shared,
    put,
    get: key => jobs.get(key),
    byToken: token => [...jobs.values()].find(job => job.token === token),
    all: () => [...jobs.values()].sort((a, b) => a.created - b.created),
    putFile: (job, name, bytes) => store.put(place(job, name), bytes),
    file: (job, name) => store.get(place(job, name)),
    async remove(job) {
      jobs.delete(job.key);
      const mark = removed(job);
      await redis.multi().set(mark, '1', 'EX', REMOVED_S).hdel(JOBS, job.key).publish(JOBS, job.key).exec();
      const drawn = job.results.map(({ name }) => name);
      const beside = drawn.filter(name => /mp4|gif/.test(name)).map(sidecarPath);
      for (const name of [PICTURE, ...drawn, ...beside]) await store.remove(place(job, name));
    },
    async close() {
      for (const stop of stopped) stop();
    },
  };
}
