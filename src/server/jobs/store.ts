import type { Job } from './job';

/** Where jobs and their files are kept. What is put there is there after a crash, where the store outlives one. */
export interface JobStore {
  /** Whether jobs are still there when this process is not. */
  readonly isLasting: boolean;
  /** Keeps a job, or what has become of it. When this returns, it is kept. */
  put(job: Job): Promise<void>;
  /** A job by its key. */
  get(key: string): Job | undefined;
  /** A job by the token of its files. */
  byToken(token: string): Job | undefined;
  /** All of them, the oldest first. */
  all(): readonly Job[];
  /** Keeps a file of a job; its name holds all of it or there is none. */
  putFile(job: Job, name: string, bytes: Uint8Array): Promise<void>;
  /** A file of a job. @returns nothing where there is none */
  file(job: Job, name: string): Promise<Uint8Array | undefined>;
  /** Removes a job and its files. */
  remove(job: Job): Promise<void>;
  /** Where several servers have these jobs. */
  readonly shared?: SharedJobs | undefined;
  close(): Promise<void>;
}

/** What servers that have the same jobs tell each other. */
export interface SharedJobs {
  /** Ends a job that other servers may have; when this returns it is over. */
  cancel(key: string): Promise<void>;
  /** Another server may go on with a job. */
  leave(key: string): Promise<void>;
  /** Hears the others. */
  hear(ears: { cancelled(key: string): void; left(key: string): void }): void;
}

/** The picture that a job begins with. */
export const PICTURE = 'picture';
