import { isOver } from './job';
import type { Live } from './live';

/** How an order is told from others. */
export interface Asked {
  /** Whether the client chose the seed: if not, an equal order later on may want another picture. */
  readonly hasSeed: boolean;
  /** By which the client tells that it asks again. */
  readonly idempotencyKey?: string | undefined;
  /** Whether the client says that it asks again. */
  readonly isRetry?: boolean | undefined;
}

/** Jobs that equal orders join: those that run, and for a while those that are completed. */
export interface Joins {
  add(live: Live): void;
  /** The job that an equal order is, or just was, drawn for. */
  find(joinKey: string, asked: Asked): Live | undefined;
  /** A job is over. */
  end(live: Live): void;
  /** A job is no longer there. */
  forget(key: string): void;
}

/** Bytes of completed pictures that are held for those who ask again. */
const MOST_BYTES = 256e6;

/** @param keepMs how long completed jobs are joined */
export function createJoins(keepMs: number): Joins {
  const jobs = new Map<string, Live>();
  let held = 0;
  const forget = (live: Live): void => {
    if (jobs.get(live.joinKey) === live) jobs.delete(live.joinKey);
  };
  return {
    add: live => void jobs.set(live.joinKey, live),
    find(joinKey, { hasSeed, idempotencyKey, isRetry = false }) {
      const found = jobs.get(joinKey);
      if (!found || !isOver(found.job)) return found;
      return hasSeed || idempotencyKey !== undefined || isRetry ? found : undefined;
    },
    end(live) {
      const bytes = live.files.reduce((sum, file) => sum + (file?.length ?? 0), 0);
      if (live.job.status !== 'completed' || held + bytes > MOST_BYTES) {
        forget(live);
        return;
      }
      held += bytes;
      setTimeout(() => {
        held -= bytes;
        forget(live);
      }, keepMs).unref();
    },
    forget(key) {
      for (const live of jobs.values()) if (live.job.key === key) forget(live);
    },
  };
}
