import { type Job, jobSchema } from '../server/jobs/job';
import type { JobStore } from '../server/jobs/store';
import { heard } from './channels';
import { own } from './names';
import type { FleetQueue } from './queue';

const JOBS = own('jobs');

/**
 * Jobs of all servers on one queue: in Redis, and their files in its store. Each server holds all records in memory, as
 * they are asked for at every request, and hears what the others change.
 */
export async function fleetJobStore({ redis, channels, store }: FleetQueue): Promise<JobStore> {
  const jobs = new Map<string, Job>();
  const take = (text: string): void => {
    const job = jobSchema.safeParse(heard(text));
    if (job.success) jobs.set(job.data.key, job.data);
  };
  const deaf = await channels.on(JOBS, message => {
    // A record, or the key of one that was removed.
    if (message.startsWith('{')) take(message);
    else jobs.delete(message);
  });
  for (const text of await redis.hvals(JOBS)) take(text);
  const place = ({ key }: Job, name: string): string => `${key}.${name}`;
  return {
    isLasting: true,
    async put(job) {
      const text = JSON.stringify(job);
      await redis.multi().hset(JOBS, job.key, text).publish(JOBS, text).exec();
      jobs.set(job.key, job);
    },
    get: key => jobs.get(key),
    byToken: token => [...jobs.values()].find(job => job.token === token),
    all: () => [...jobs.values()].sort((a, b) => a.created - b.created),
    putFile: (job, name, bytes) => store.put(place(job, name), bytes),
    file: (job, name) => store.get(place(job, name)),
    async remove(job) {
      jobs.delete(job.key);
      await redis.multi().hdel(JOBS, job.key).publish(JOBS, job.key).exec();
      for (const { name } of job.results) await store.remove(place(job, name));
    },
    async close() {
      deaf();
    },
  };
}
