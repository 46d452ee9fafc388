import type { Job } from './job';
import type { JobStore } from './store';

/** Jobs that end with the process. */
export function memoryStore(): JobStore {
  const jobs = new Map<string, Job>();
  const files = new Map<string, Map<string, Uint8Array>>();
  return {
    isLasting: false,
    async put(job) {
      jobs.set(job.key, job);
    },
    get: key => jobs.get(key),
    byToken: token => [...jobs.values()].find(job => job.token === token),
    all: () => [...jobs.values()].sort((a, b) => a.created - b.created),
    async putFile({ key }, name, bytes) {
      const own = files.get(key) ?? new Map<string, Uint8Array>();
      files.set(key, own.set(name, bytes));
    },
    file: async ({ key }, name) => files.get(key)?.get(name),
    async remove({ key }) {
      jobs.delete(key);
      files.delete(key);
    },
    async close() {},
  };
}
