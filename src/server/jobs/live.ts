import type { Job, JobResult } from './job';
import { batchKey, type Piece, piecesOf } from './order';
import type { PieceEvent } from './runner';

/** An event of a job's piece. */
export interface JobEvent {
  readonly piece: number;
  readonly event: PieceEvent | { readonly type: 'finished'; readonly result: JobResult; readonly bytes: Uint8Array };
}

/** How a job is treated. */
export interface Treatment {
  /** Whether its files are kept when the request is answered. */
  readonly isKept: boolean;
  /** Whether it goes on when its client goes away. */
  readonly isDetached: boolean;
  /** What equal orders share. */
  readonly joinKey: string;
  /** Which of the owner's users it is for. */
  readonly user?: string | undefined;
}

/** A job that is not over, or just has been. */
export interface Live extends Treatment {
  job: Job;
  readonly pieces: readonly Piece[];
  /** What its pieces share with those of others that can be drawn with them. */
  readonly batchKey: string;
  /** Ends the drawing of its pieces. */
  readonly controller: AbortController;
  /** Share of each piece that is drawn, and the files of those that are whole. */
  readonly parts: number[];
  readonly files: (Uint8Array | undefined)[];
  /** Previews and finished pieces, for those who come later. */
  readonly past: JobEvent[];
  readonly listeners: Set<(event: JobEvent) => void>;
  /** Requests that wait for it. */
  holders: number;
  hasBegun: boolean;
  /** Settles when it is kept, where it is to be. */
  accepted: Promise<unknown>;
  /** Settles when it is over. */
  readonly done: Promise<Job>;
  readonly settle: (job: Job) => void;
}

/** A job as it begins. @param picture the one that it begins with */
export function liveJob(job: Job, picture: Uint8Array | undefined, treatment: Treatment): Live {
  const pieces = piecesOf(job.order, picture);
  let settle: Live['settle'] = () => {};
  const done = new Promise<Job>(resolve => {
    settle = resolve;
  });
  return {
    ...treatment,
    job,
    pieces,
    batchKey: batchKey(job.order),
    controller: new AbortController(),
    parts: pieces.map(() => 0),
    files: pieces.map(() => undefined),
    past: [],
    listeners: new Set(),
    holders: 0,
    hasBegun: false,
    accepted: Promise.resolve(),
    done,
    settle,
  };
}

/** Hears what happens to a piece. */
export function hear(live: Live, piece: number, event: JobEvent['event']): void {
  if (event.type === 'step') live.parts[piece] = event.done / event.total;
  else live.past.push({ piece, event });
  for (const listener of live.listeners) listener({ piece, event });
}

/** How much of it is drawn, in per cent; 100 when all is kept. */
export const progressOf = ({ parts }: Pick<Live, 'parts'>): number =>
  Math.min(99, Math.floor((100 * parts.reduce((sum, part) => sum + part, 0)) / parts.length));
