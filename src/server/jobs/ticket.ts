import type { Job } from './job';
import type { JobEvent, Live } from './live';
import type { JobStore } from './store';

/** What a request holds of a job. Its holder lets go of it when it is answered, or when its client has gone away. */
export interface Ticket {
  job(): Job;
  /** Whether the order joined one that was there. */
  readonly hasJoined: boolean;
  /** Settles when the job is over. */
  readonly done: Promise<Job>;
  /** Its files, when it is completed. */
  files(): Promise<readonly Uint8Array[]>;
  /** Hears all previews and finished pieces, those of before included, and steps. @returns stops it */
  listen(on: (event: JobEvent) => void): () => void;
  letGo(): void;
}

/** @param onLeft called when the last holder has let go of a job that is not over */
export function ticketOf(live: Live, hasJoined: boolean, onLeft: () => void): Ticket {
  live.holders++;
  let isHeld = true;
  return {
    hasJoined,
    job: () => live.job,
    done: live.done,
    files: async () => live.files.filter(file => file !== undefined),
    listen(on) {
      for (const event of live.past) on(event);
      live.listeners.add(on);
      return () => live.listeners.delete(on);
    },
    letGo() {
      if (!isHeld) return;
      isHeld = false;
      live.holders--;
      if (live.holders === 0) onLeft();
    },
  };
}

/** The ticket of a job that was over before: nothing is drawn. */
export function pastTicket(job: Job, store: JobStore): Ticket {
  return {
    hasJoined: true,
    job: () => job,
    done: Promise.resolve(job),
    async files() {
      const files = await Promise.all(job.results.map(({ name }) => store.file(job, name)));
      return files.filter(file => file !== undefined);
    },
    listen: () => () => {},
    letGo() {},
  };
}
