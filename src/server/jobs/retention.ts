import type { Log } from '../log';
import type { Desk } from './desk';
import { bytesOf, isOver } from './job';
import type { JobStore } from './store';

/** How long finished jobs are kept, and how many bytes of them. */
export interface Retention {
  readonly keepMs: number;
  readonly mostBytes: number;
}

/** How often what is too old is looked for. */
const PERIOD_MS = 60_000;

/** Bytes of all kept files. */
export const keptBytes = (store: JobStore): number => store.all().reduce((sum, job) => sum + bytesOf(job), 0);

/** Removes finished jobs that are too old, and the oldest while all of them are too large. @returns how many */
export async function sweep(desk: Desk, store: JobStore, { keepMs, mostBytes }: Retention): Promise<number> {
  const over = store.all().filter(isOver);
  let bytes = keptBytes(store);
  let removed = 0;
  for (const job of over) {
    if (Date.now() - (job.finished ?? job.created) < keepMs && bytes <= mostBytes) continue;
    bytes -= bytesOf(job);
    await desk.remove(job);
    removed++;
  }
  return removed;
}

/** Sweeps now and then. @returns ends it */
export function sweepInTurns(desk: Desk, store: JobStore, retention: Retention, log: Log): () => void {
  const timer = setInterval(() => {
    sweep(desk, store, retention).catch(error => log.error({ error: String(error) }, 'old jobs could not be removed'));
  }, PERIOD_MS).unref();
  return () => clearInterval(timer);
}
