import { sidecarPath, sidecarText } from '../../media/receipt';
import type { Log } from '../log';
import type { Metrics } from '../metrics';
import { faultOf, Refusal } from './faults';
import { isOver, JOB_FORMAT, type Job, type JobResult } from './job';
import { contentKey, newId, storeKey } from './keys';
import { type Order, type Piece, piecesOf } from './order';
import type { Finished, PieceEvent, Runner } from './runner';
import { type JobStore, PICTURE } from './store';

/** How orders are taken. */
export interface DeskOptions {
  readonly runner: Runner;
  /** Jobs that outlive their requests. */
  readonly store: JobStore;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Pieces that may wait. */
  readonly mostWaiting: number;
  /** How long an equal order still gets what is finished, in milliseconds. */
  readonly joinMs: number;
}

/** An order, and whose it is. */
export interface Submission {
  readonly owner: string;
  readonly kind: Job['kind'];
  readonly order: Order;
  /** Whether the client chose the seed: if not, an equal order may want another picture. */
  readonly hasSeed: boolean;
  /** The picture to begin with. */
  readonly picture?: Uint8Array | undefined;
  /** Whether the files are kept when the request is answered. */
  readonly isKept: boolean;
  /** Whether it goes on when its client goes away. */
  readonly isDetached: boolean;
  /** The client's own name for it. */
  readonly id?: string | undefined;
  /** By which the client tells that it asks again. */
  readonly idempotencyKey?: string | undefined;
  /** Whether the client says that it asks again. */
  readonly isRetry?: boolean | undefined;
}

/** An event of a job's piece. */
export interface JobEvent {
  readonly piece: number;
  readonly event: PieceEvent | { readonly type: 'finished'; readonly result: JobResult; readonly bytes: Uint8Array };
}

/** What a request holds of a job. Its holder lets go of it when it is answered, or has gone away. */
export interface Ticket {
  readonly job: () => Job;
  /** Whether the order joined one that was there. */
  readonly hasJoined: boolean;
  /** Whether all of it waits. */
  readonly isWaiting: () => boolean;
  /** Settles when the job is over; its files are those of `files`. */
  readonly done: Promise<Job>;
  files(): Promise<readonly Uint8Array[]>;
  /** Hears all previews and finished pieces, those of before included. @returns stops it */
  listen(on: (event: JobEvent) => void): () => void;
  letGo(): void;
}

/** Takes orders, lets them wait, hands them to those who draw, and keeps what comes of them. */
export interface Desk {
  /** @throws Refusal where no more can wait, or the id is taken */
  submit(submission: Submission): Promise<Ticket>;
  find(owner: string, id: string): Job | undefined;
  byToken(token: string): Job | undefined;
  /** Kept jobs of an owner, the newest first. */
  list(owner: string, kind?: Job['kind']): readonly Job[];
  /** In per cent. */
  progress(job: Job): number;
  file(job: Job, name: string): Promise<Uint8Array | undefined>;
  /** Ends a job; one that is over stays as it is. */
  cancel(job: Job): Promise<Job>;
  remove(job: Job): Promise<void>;
  /** Whether orders are taken. */
  isOpen(): boolean;
  counts(): { readonly waiting: number; readonly running: number };
  /** Takes up what an earlier server left unfinished. */
  recover(): Promise<number>;
  /** Takes nothing more, lets what runs come to its end within `graceMs`, and ends the rest. */
  drain(graceMs: number): Promise<void>;
}

/** A job that is not over, or just has been. */
interface Live {
  job: Job;
  readonly isKept: boolean;
  readonly isDetached: boolean;
  readonly joinKey: string;
  readonly controller: AbortController;
  readonly pieces: readonly Piece[];
  readonly steps: number[];
  readonly files: (Uint8Array | undefined)[];
  readonly past: JobEvent[];
  readonly listeners: Set<(event: JobEvent) => void>;
  holders: number;
  left: number;
  begun: boolean;
  /** Settles when it is kept, where it is to be. */
  accepted: Promise<unknown>;
  readonly done: Promise<Job>;
  readonly settle: (job: Job) => void;
}

/** Starts of one job after which it is taken to be what ends the server. */
const MOST_ATTEMPTS = 3;
/** Bytes of finished pictures that wait for an equal order. */
const MOST_REMEMBERED = 256e6;

export function createDesk(options: DeskOptions): Desk {
  const { runner, store, log, metrics, mostWaiting, joinMs } = options;
  const live = new Map<string, Live>();
  const joinable = new Map<string, Live>();
  const queue: { readonly of: Live; readonly index: number }[] = [];
  let running = 0;
  let isClosed = false;
  let remembered = 0;
  const writes = new Map<string, Promise<unknown>>();

  /** Writes of one job come one after the other. */
  function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const next = (writes.get(key) ?? Promise.resolve()).catch(() => {}).then(work);
    writes.set(key, next);
    const clear = (): void => {
      if (writes.get(key) === next) writes.delete(key);
    };
    next.then(clear, clear);
    return next;
  }

  async function keep(entry: Live, change: Partial<Job>): Promise<void> {
    entry.job = { ...entry.job, ...change };
    const { job } = entry;
    if (entry.isKept) await inTurn(job.key, () => store.put(job));
  }

  function requireRoom(pieces: number): void {
    if (isClosed) throw new Refusal(503, 'shutting_down', 'The server is being stopped.', { retryAfter: 10 });
    const free = Math.max(0, runner.places - running);
    if (queue.length + pieces <= mostWaiting + free) return;
    if (pieces > mostWaiting + runner.places) {
      throw new Refusal(400, 'too_many_pictures', `At most ${mostWaiting + runner.places} pictures can wait here.`, {
        param: 'n',
      });
    }
    const seconds = Math.ceil(((queue.length + pieces - mostWaiting) * metrics.meanSeconds()) / runner.places);
    throw new Refusal(429, 'queue_full', `${queue.length} pictures are waiting, and no more can.`, {
      retryAfter: Math.max(1, Math.min(600, seconds)),
    });
  }

  function enter(
    job: Job,
    picture: Uint8Array | undefined,
    how: Pick<Live, 'isKept' | 'isDetached' | 'joinKey'>,
  ): Live {
    const pieces = piecesOf(job.order, picture);
    let settle: Live['settle'] = () => {};
    const done = new Promise<Job>(resolve => {
      settle = resolve;
    });
    const entry: Live = {
      ...how,
      job,
      pieces,
      controller: new AbortController(),
      steps: pieces.map(() => 0),
      files: pieces.map(() => undefined),
      past: [],
      listeners: new Set(),
      holders: 0,
      left: pieces.length,
      begun: false,
      accepted: Promise.resolve(),
      done,
      settle,
    };
    live.set(job.key, entry);
    joinable.set(how.joinKey, entry);
    pieces.forEach((_, index) => void queue.push({ of: entry, index }));
    return entry;
  }

  function pump(): void {
    while (running < runner.places && queue.length > 0) {
      const { of: entry, index } = queue.shift() as (typeof queue)[number];
      running++;
      void work(entry, index).finally(() => {
        running--;
        pump();
      });
    }
  }

  async function work(entry: Live, index: number): Promise<void> {
    const started = performance.now();
    try {
      if (!entry.begun) {
        entry.begun = true;
        await keep(entry, { status: 'in_progress', started: Date.now(), attempts: entry.job.attempts + 1 });
      }
      if (entry.controller.signal.aborted) return;
      const finished = await runner.draw(entry.pieces[index] as Piece, {
        signal: entry.controller.signal,
        onEvent: event => heard(entry, index, event),
      });
      metrics.piece(entry.job, finished, (performance.now() - started) / 1000);
      await take(entry, index, finished);
    } catch (error) {
      await fail(entry, error);
    }
  }

  function tell(entry: Live, event: JobEvent): void {
    for (const listener of entry.listeners) listener(event);
  }

  function heard(entry: Live, piece: number, event: PieceEvent): void {
    if (event.type === 'step') {
      entry.steps[piece] = event.done / event.total;
      metrics.step(entry.job, event);
    } else entry.past.push({ piece, event });
    tell(entry, { piece, event });
  }

  async function take(entry: Live, index: number, { bytes, ...finished }: Finished): Promise<void> {
    if (isOver(entry.job)) return;
    const name = `${index}.${entry.job.order.output.format}`;
    const result: JobResult = { ...finished, name, bytes: bytes.length };
    if (entry.isKept) {
      const { job } = entry;
      await inTurn(job.key, async () => {
        await store.putFile(job, name, bytes);
        if (/mp4|gif/.test(name)) await store.putFile(job, sidecarPath(name), Buffer.from(sidecarText(result.receipt)));
      });
    }
    if (isOver(entry.job)) return;
    entry.files[index] = bytes;
    entry.steps[index] = 1;
    entry.left--;
    const results = [...entry.job.results, result].sort(
      (a, b) => Number.parseInt(a.name, 10) - Number.parseInt(b.name, 10),
    );
    entry.job = { ...entry.job, results };
    const event = { piece: index, event: { type: 'finished', result, bytes } } as const;
    entry.past.push(event);
    tell(entry, event);
    if (entry.left === 0) await end(entry, { status: 'completed' });
  }

  async function fail(entry: Live, error: unknown): Promise<void> {
    if (isOver(entry.job)) return;
    // What a stopped server leaves is done by the next.
    if (isClosed && entry.isDetached && store.isLasting && entry.controller.signal.aborted) return leave(entry);
    const told = faultOf(error);
    log.warn({ job: entry.job.key, code: told.code, fault: told.message }, 'job failed');
    await end(entry, { status: entry.controller.signal.aborted ? 'cancelled' : 'failed', error: told });
  }

  function leave(entry: Live): void {
    live.delete(entry.job.key);
    entry.settle(entry.job);
  }

  /** A job is over: said in the store first, then to those who wait. */
  async function end(entry: Live, change: Pick<Job, 'status'> & Partial<Job>): Promise<void> {
    if (isOver(entry.job)) return;
    entry.job = { ...entry.job, ...change, finished: Date.now() };
    for (let i = queue.length - 1; i >= 0; i--) if (queue[i]?.of === entry) queue.splice(i, 1);
    if (change.status !== 'completed') entry.controller.abort();
    try {
      await keep(entry, {});
    } catch (error) {
      // The files are there and the job is not marked: it is drawn again after the next start.
      log.error({ job: entry.job.key, fault: (error as Error).message }, 'job could not be kept');
      entry.job = { ...entry.job, status: 'failed', error: { code: 'io', message: (error as Error).message } };
    }
    metrics.job(entry.job);
    live.delete(entry.job.key);
    remember(entry);
    entry.settle(entry.job);
  }

  /** Keeps what is finished for a while, for those who ask again. */
  function remember(entry: Live): void {
    const size = entry.files.reduce((sum, file) => sum + (file?.length ?? 0), 0);
    const forget = (): void => {
      if (joinable.get(entry.joinKey) === entry) joinable.delete(entry.joinKey);
    };
    if (entry.job.status !== 'completed' || remembered + size > MOST_REMEMBERED) {
      forget();
      return;
    }
    remembered += size;
    setTimeout(() => {
      remembered -= size;
      forget();
    }, joinMs).unref();
  }

  function ticket(entry: Live, hasJoined: boolean): Ticket {
    entry.holders++;
    let isHeld = true;
    return {
      hasJoined,
      job: () => entry.job,
      isWaiting: () => !entry.begun,
      done: entry.done,
      files: async () => entry.files.filter(file => file !== undefined),
      listen(on) {
        for (const event of entry.past) on(event);
        entry.listeners.add(on);
        return () => entry.listeners.delete(on);
      },
      letGo() {
        if (!isHeld) return;
        isHeld = false;
        entry.holders--;
        if (entry.holders > 0 || entry.isDetached || isOver(entry.job)) return;
        void cancelEntry(entry);
      },
    };
  }

  async function cancelEntry(entry: Live): Promise<void> {
    entry.controller.abort();
    await end(entry, {
      status: 'cancelled',
      error: { code: 'cancelled', message: 'The job was cancelled before it was finished.' },
    });
    pump();
  }

  /** The job that an equal order is, or just was, drawn for. */
  function equal(joinKey: string, submission: Submission): Live | undefined {
    const found = joinable.get(joinKey);
    if (!found || found.job.status === 'failed' || found.job.status === 'cancelled') return undefined;
    const { hasSeed, idempotencyKey, isRetry = false } = submission;
    return !isOver(found.job) || hasSeed || idempotencyKey !== undefined || isRetry ? found : undefined;
  }

  /** Nobody is told that a job is taken before it is kept. */
  async function joined(entry: Live): Promise<Ticket> {
    const held = ticket(entry, true);
    await entry.accepted;
    return held;
  }

  async function submit(submission: Submission): Promise<Ticket> {
    const { owner, kind, order, hasSeed, picture, isKept, isDetached, idempotencyKey } = submission;
    const content = contentKey(order, hasSeed, [kind, isKept, isDetached]);
    const id = submission.id ?? newId(kind);
    const key = storeKey(owner, id);
    if (submission.id !== undefined) {
      const there = live.get(key);
      const known = there?.job ?? store.get(key);
      if (known && known.content !== content) {
        throw new Refusal(409, 'id_taken', `There is another job with the id ${id}.`, { param: 'id' });
      }
      if (there) return joined(there);
      if (known) return pastTicket(known);
    }
    const named = idempotencyKey ?? (submission.id === undefined ? undefined : `id ${submission.id}`);
    const joinKey = JSON.stringify([owner, named ?? content, named !== undefined]);
    const same = equal(joinKey, submission);
    if (same) {
      if (same.job.content === content) return joined(same);
      throw new Refusal(409, 'idempotency_key_reused', 'The Idempotency-Key was given with another request.');
    }
    requireRoom(order.count);
    const job: Job = {
      format: JOB_FORMAT,
      version: 1,
      key,
      id,
      owner,
      kind,
      token: newId('file'),
      content,
      order,
      status: 'queued',
      created: Date.now(),
      attempts: 0,
      results: [],
    };
    const entry = enter(job, picture, { isKept, isDetached, joinKey });
    const held = ticket(entry, false);
    if (isKept) {
      entry.accepted = inTurn(key, async () => {
        if (picture) await store.putFile(job, PICTURE, picture);
        await store.put(job);
      });
    }
    try {
      await entry.accepted;
    } catch (error) {
      await end(entry, { status: 'failed', error: faultOf(error) });
      throw error;
    }
    pump();
    return held;
  }

  /** A job that was over before: nothing is drawn. */
  function pastTicket(job: Job): Ticket {
    return {
      hasJoined: true,
      job: () => job,
      isWaiting: () => false,
      done: Promise.resolve(job),
      async files() {
        const files = await Promise.all(job.results.map(({ name }) => store.file(job, name)));
        return files.filter(file => file !== undefined);
      },
      listen: () => () => {},
      letGo() {},
    };
  }

  return {
    submit,
    find(owner, id) {
      const key = storeKey(owner, id);
      const entry = live.get(key);
      return entry?.isKept ? entry.job : store.get(key);
    },
    byToken: token => store.byToken(token),
    list: (owner, kind) =>
      store
        .all()
        .filter(job => job.owner === owner && (kind === undefined || job.kind === kind))
        .map(job => live.get(job.key)?.job ?? job)
        .reverse(),
    progress(job) {
      if (job.status === 'completed') return 100;
      const steps = live.get(job.key)?.steps ?? [0];
      return Math.min(99, Math.floor((100 * steps.reduce((sum, part) => sum + part, 0)) / steps.length));
    },
    file: (job, name) => store.file(job, name),
    async cancel(job) {
      const entry = live.get(job.key);
      if (!entry) return store.get(job.key) ?? job;
      await cancelEntry(entry);
      return entry.job;
    },
    async remove(job) {
      const entry = live.get(job.key);
      if (entry) await cancelEntry(entry);
      await inTurn(job.key, () => store.remove(job));
    },
    isOpen: () => !isClosed,
    counts: () => ({ waiting: queue.length, running }),
    async recover() {
      const left = store.all().filter(job => !isOver(job));
      for (const job of left) {
        const begun: Job = { ...job, status: 'queued', results: [] };
        const joinKey = JSON.stringify([job.owner, job.id, 'recovered']);
        const picture = job.order.picture === undefined ? undefined : await store.file(job, PICTURE);
        const entry = enter(begun, picture, { isKept: true, isDetached: true, joinKey });
        if (job.attempts >= MOST_ATTEMPTS) {
          await end(entry, {
            status: 'failed',
            error: {
              code: 'given_up',
              message: `The server ended ${job.attempts} times while it drew this; it is not begun again.`,
            },
          });
        }
      }
      pump();
      return left.length;
    },
    async drain(graceMs) {
      isClosed = true;
      // What is begun goes on with all its pieces.
      const waiting = new Set(queue.map(({ of }) => of).filter(({ begun }) => !begun));
      queue.splice(0, queue.length, ...queue.filter(({ of }) => of.begun));
      for (const entry of waiting) {
        if (entry.isDetached && store.isLasting) leave(entry);
        else {
          await end(entry, {
            status: 'failed',
            error: { code: 'shutting_down', message: 'The server was stopped before this was begun.' },
          });
        }
      }
      const going = [...live.values()];
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>(resolve => {
        timer = setTimeout(resolve, graceMs);
      });
      await Promise.race([Promise.all(going.map(entry => entry.done)), late]);
      clearTimeout(timer);
      for (const entry of live.values()) entry.controller.abort();
      const stopped = Promise.all([...live.values()].map(entry => entry.done));
      await Promise.race([stopped, new Promise(resolve => setTimeout(resolve, 2000).unref())]);
      await Promise.all(writes.values());
    },
  };
}
