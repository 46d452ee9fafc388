import { InterruptedError } from '../../errors';
import { sidecarPath, sidecarText } from '../../media/receipt';
import type { Log } from '../log';
import type { Metrics } from '../metrics';
import { within } from '../within';
import { type Fault, faultOf, Refusal } from './faults';
import { isOver, JOB_FORMAT, type Job, type JobResult } from './job';
import { type Asked, createJoins } from './joins';
import { contentKey, newId, storeKey } from './keys';
import { createLine, type Waiting } from './line';
import { hear, type Live, liveJob, progressOf, type Treatment } from './live';
import type { Order, Piece } from './order';
import { type Assignment, type Finished, LEFT, type Runner } from './runner';
import { type JobStore, PICTURE } from './store';
import { pastTicket, type Ticket, ticketOf } from './ticket';
import { createTurns } from './turns';

/** With what orders are taken and drawn. */
export interface DeskOptions {
  readonly runner: Runner;
  /** Where jobs are kept that outlive their requests. */
  readonly store: JobStore;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Pieces that may wait. */
  readonly mostWaiting: number;
  /** How long an equal order still gets what is completed, in milliseconds. */
  readonly joinMs: number;
}

/** An order, whose it is, and how it is treated. */
export interface Submission extends Asked, Pick<Treatment, 'isKept' | 'isDetached'> {
  readonly owner: string;
  /** Which of the owner's users it is for. */
  readonly user?: string | undefined;
  readonly kind: Job['kind'];
  readonly order: Order;
  /** The picture to begin with. */
  readonly picture?: Uint8Array | undefined;
  /** The client's own name for it. */
  readonly id?: string | undefined;
}

/** Takes orders, lets them wait, hands their pieces to those who draw, and keeps what comes of them. */
export interface Desk {
  /** @throws Refusal where no more can wait, or the id is taken */
  submit(submission: Submission): Promise<Ticket>;
  /** A kept job of an owner. */
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
  /** Takes up what an earlier server left unfinished. @returns how many jobs */
  recover(): Promise<number>;
  /** Takes nothing more, lets what runs come to its end within `graceMs`, and ends the rest. */
  drain(graceMs: number): Promise<void>;
}

/** Starts of one job after which it is taken to be what ends the server. */
const MOST_ATTEMPTS = 3;
/** So long is waited for pieces to stop, in milliseconds. */
const STOP_MS = 2000;
/** What is to be kept has so long at the end, in milliseconds: a store that is away may never take it. */
const LAST_WRITES_MS = 10_000;

const CANCELLED: Fault = { code: 'cancelled', message: 'The job was cancelled before it was finished.' };

export function createDesk({ runner, store, log, metrics, mostWaiting, joinMs }: DeskOptions): Desk {
  /** Jobs that are not over, by their keys. */
  const jobs = new Map<string, Live>();
  const joins = createJoins(joinMs);
  const line = createLine(mostWaiting, runner, metrics.meanSeconds);
  /** Writes of one job come one after the other. */
  const { inTurn, allDone } = createTurns();
  /** Batches, those of them that come to their end, and pieces in all. */
  let running = 0;
  let ending = 0;
  let drawing = 0;
  let isOpen = true;

  /** Does this with the store. Why it failed is for the log: it names folders of this machine. */
  const stored = <T>(key: string, work: () => Promise<T>): Promise<T> =>
    inTurn(key, work).catch(error => {
      log.error({ job: key, error: String(error) }, 'job could not be kept');
      throw new Refusal(500, 'storage', 'The server could not keep the job; its log says why.');
    });

  async function keep(live: Live, change: Partial<Job> = {}): Promise<void> {
    live.job = { ...live.job, ...change };
    const { job } = live;
    if (live.isKept) await stored(job.key, () => store.put(job));
  }

  function enter(live: Live): void {
    jobs.set(live.job.key, live);
    joins.add(live);
    line.join(live);
  }

  function pump(): void {
    while (running < runner.places + ending) {
      const batch = line.next(runner.places - running);
      if (batch.length === 0) return;
      hand(batch);
    }
  }

  let isCalled = false;

  /** The same in a moment: requests that come together are then drawn together. */
  function pumpSoon(): void {
    if (isCalled) return;
    isCalled = true;
    setImmediate(() => {
      isCalled = false;
      pump();
    });
  }

  function hand(batch: readonly Waiting[]): void {
    running++;
    drawing += batch.length;
    let isEnding = false;
    const onEnding = (): void => {
      if (isEnding) return;
      isEnding = true;
      ending++;
      pump();
    };
    void drawTogether(batch, onEnding).finally(() => {
      running--;
      if (isEnding) ending--;
      isEnding = true;
      drawing -= batch.length;
      pump();
    });
  }

  /** Says that a job is begun. @returns whether it is still wanted */
  async function begun({ live }: Waiting): Promise<boolean> {
    try {
      if (!live.hasBegun) {
        live.hasBegun = true;
        await keep(live, { status: 'in_progress', started: Date.now(), attempts: live.job.attempts + 1 });
      }
    } catch (error) {
      await fail(live, error);
    }
    return !live.controller.signal.aborted;
  }

  async function drawTogether(batch: readonly Waiting[], onEnding: () => void): Promise<void> {
    const areWanted = await Promise.all(batch.map(begun));
    const wanted = batch.filter((_, i) => areWanted[i]);
    // Stopped while that was kept: it is over, or left to the next server.
    for (const [i, { live }] of batch.entries()) if (!areWanted[i]) await fail(live, new InterruptedError());
    if (wanted.length === 0) return;
    const started = performance.now();
    const drawn = runner.draw(wanted.map(assignment), onEnding);
    await Promise.all(
      wanted.map(async ({ live, index }, i) => {
        try {
          const finished = await (drawn[i] as Promise<Finished>);
          metrics.piece(live.job, (performance.now() - started) / 1000, wanted.length);
          await take(live, index, finished);
        } catch (error) {
          await fail(live, error);
        }
      }),
    );
  }

  const assignment = ({ live, index }: Waiting): Assignment => ({
    piece: live.pieces[index] as Piece,
    user: [live.job.owner, live.user].filter(Boolean).join('/'),
    signal: live.controller.signal,
    onEvent(event) {
      if (event.type === 'step') metrics.step(live.job, event);
      hear(live, index, event);
    },
  });

  async function take(live: Live, index: number, { bytes, ...finished }: Finished): Promise<void> {
    const name = `${index}.${live.job.order.output.format}`;
    const result: JobResult = { ...finished, name, bytes: bytes.length };
    if (live.isKept) {
      const { job } = live;
      await stored(job.key, async () => {
        if (isOver(live.job)) return;
        await store.putFile(job, name, bytes);
        if (/mp4|gif/.test(name)) await store.putFile(job, sidecarPath(name), Buffer.from(sidecarText(result.receipt)));
      });
    }
    if (isOver(live.job)) return;
    live.files[index] = bytes;
    live.parts[index] = 1;
    const results = [...live.job.results, result].sort(
      (a, b) => Number.parseInt(a.name, 10) - Number.parseInt(b.name, 10),
    );
    live.job = { ...live.job, results };
    hear(live, index, { type: 'finished', result, bytes });
    if (results.length === live.pieces.length) await end(live, { status: 'completed' });
  }

  async function fail(live: Live, error: unknown): Promise<void> {
    if (isOver(live.job)) return;
    const isStopped = live.controller.signal.aborted;
    if (!isOpen && isStopped && isLasting(live)) {
      leave(live);
      return;
    }
    const fault = faultOf(error);
    log.warn({ job: live.job.key, ...fault, error: error instanceof Error ? error.stack : error }, 'job failed');
    await end(live, { status: isStopped ? 'cancelled' : 'failed', error: isStopped ? CANCELLED : fault });
  }

  /** Whether the next server goes on with it. */
  const isLasting = ({ isDetached }: Live): boolean => isDetached && store.isLasting;

  /** Leaves a job to the next server, which is not the end that attempts are counted for. */
  function leave(live: Live): void {
    jobs.delete(live.job.key);
    const { key, status, attempts } = live.job;
    const isBegun = status === 'in_progress';
    if (isBegun) live.job = { ...live.job, status: 'queued', attempts: attempts - 1 };
    stored(key, async () => {
      if (isBegun && live.isKept) await store.put(live.job);
      await store.shared?.leave(key);
    }).catch(() => {});
    live.settle(live.job);
  }

  /** A job is over: that is kept first, and then told. */
  async function end(live: Live, change: Pick<Job, 'status'> & Partial<Job>): Promise<void> {
    if (isOver(live.job)) return;
    live.job = { ...live.job, ...change, finished: Date.now() };
    line.leave(each => each === live);
    if (change.status !== 'completed') live.controller.abort();
    try {
      await keep(live);
    } catch (error) {
      live.job = { ...live.job, status: 'failed', error: faultOf(error) };
    }
    metrics.job(live.job);
    jobs.delete(live.job.key);
    joins.end(live);
    live.settle(live.job);
  }

  const cancelLive = (live: Live): Promise<void> => end(live, { status: 'cancelled', error: CANCELLED });

  /** Ends a job wherever it is: other servers may have it too. */
  async function cancelJob(job: Job): Promise<void> {
    const live = jobs.get(job.key);
    if (live) await cancelLive(live);
    if (live?.isKept || !isOver(job)) await store.shared?.cancel(job.key);
  }

  const ticket = (live: Live, hasJoined: boolean): Ticket =>
    ticketOf(live, hasJoined, () => {
      if (!live.isDetached) void cancelLive(live);
    });

  /** Nobody is told that a job is taken before it is kept. */
  async function joined(live: Live): Promise<Ticket> {
    const held = ticket(live, true);
    await live.accepted;
    return held;
  }

  /** The job of a client's own id, where it is there. @throws Refusal where it is another one */
  function ofId({ id }: Submission, key: string, content: string): Promise<Ticket> | Ticket | undefined {
    const live = jobs.get(key);
    const job = live?.job ?? store.get(key);
    if (!job) return undefined;
    if (job.content === content) return live ? joined(live) : pastTicket(job, store);
    throw new Refusal(409, 'id_taken', `There is another job with the id ${id}.`, { param: 'id' });
  }

  async function submit(submission: Submission): Promise<Ticket> {
    const { owner, kind, order, picture, isKept, isDetached, idempotencyKey } = submission;
    const content = contentKey(order, submission.hasSeed, [kind, isKept, isDetached]);
    const id = submission.id ?? newId(kind);
    const key = storeKey(owner, id);
    const known = submission.id === undefined ? undefined : ofId(submission, key, content);
    if (known) return known;
    // Jobs of a client's own id are told by that alone.
    const named = submission.id === undefined ? idempotencyKey : `id:${id}`;
    const joinKey = JSON.stringify([owner, named === undefined ? 'body' : 'named', named ?? content]);
    const equal = submission.id === undefined ? joins.find(joinKey, submission) : undefined;
    if (equal?.job.content === content) return joined(equal);
    if (equal) {
      throw new Refusal(409, 'idempotency_key_reused', 'The Idempotency-Key was given with another request.');
    }
    if (!isOpen) throw new Refusal(503, 'shutting_down', 'The server is being stopped.', { retryAfter: 10 });
    line.requireRoom(order.count, Math.max(0, runner.places - running));
    const job: Job = {
      format: JOB_FORMAT,
      version: 1,
      ...{ key, id, owner, kind, content, order },
      token: newId('file'),
      status: 'queued',
      created: Date.now(),
      attempts: 0,
      results: [],
    };
    const live = liveJob(job, picture, { isKept, isDetached, joinKey, user: submission.user });
    enter(live);
    const held = ticket(live, false);
    if (isKept) {
      live.accepted = stored(key, async () => {
        if (picture) await store.putFile(job, PICTURE, picture);
        await store.put(job);
      });
    }
    try {
      await live.accepted;
    } catch (error) {
      await end(live, { status: 'failed', error: faultOf(error) });
      throw error;
    }
    pumpSoon();
    return held;
  }

  async function takeUp(job: Job): Promise<void> {
    const picture = job.order.picture === undefined ? undefined : await store.file(job, PICTURE);
    const treatment = { isKept: true, isDetached: true, joinKey: JSON.stringify([job.owner, 'taken up', job.id]) };
    const live = liveJob({ ...job, status: 'queued', results: [] }, picture, treatment);
    enter(live);
    // Of several servers none draws, and each counts its own.
    if (job.attempts < MOST_ATTEMPTS || store.shared) return;
    const message = `The server ended ${job.attempts} times while it drew this; it is not begun again.`;
    await end(live, { status: 'failed', error: { code: 'given_up', message } });
  }

  store.shared?.hear({
    cancelled: key => void (jobs.has(key) && cancelLive(jobs.get(key) as Live)),
    left(key) {
      const job = store.get(key);
      if (!job || !isOpen || jobs.has(key) || isOver(job)) return;
      takeUp(job).then(pump, error => log.error({ job: key, error: String(error) }, 'job could not be taken up'));
    },
  });

  return {
    submit,
    find(owner, id) {
      const key = storeKey(owner, id);
      const live = jobs.get(key);
      return live?.isKept ? live.job : store.get(key);
    },
    byToken: token => store.byToken(token),
    list: (owner, kind) =>
      store
        .all()
        .filter(job => job.owner === owner && (kind === undefined || job.kind === kind))
        .map(job => jobs.get(job.key)?.job ?? job)
        .reverse(),
    progress(job) {
      const live = jobs.get(job.key);
      return job.status === 'completed' ? 100 : live ? progressOf(live) : 0;
    },
    file: (job, name) => store.file(job, name),
    async cancel(job) {
      const live = jobs.get(job.key);
      await cancelJob(job);
      return live?.job ?? store.get(job.key) ?? job;
    },
    async remove(job) {
      await cancelJob(job);
      joins.forget(job.key);
      await stored(job.key, () => store.remove(job));
    },
    isOpen: () => isOpen,
    counts: () => ({ waiting: line.length, running: drawing }),
    async recover() {
      const left = store.all().filter(job => !isOver(job));
      for (const job of left) await takeUp(job);
      pump();
      return left.length;
    },
    async drain(graceMs) {
      isOpen = false;
      const message = 'The server was stopped before this was begun.';
      const refused = line
        .leave(({ hasBegun }) => !hasBegun)
        .map(async live => {
          if (isLasting(live)) leave(live);
          else await end(live, { status: 'failed', error: { code: 'shutting_down', message } });
        });
      await within(LAST_WRITES_MS, refused);
      const allOver = (): Promise<Job>[] => [...jobs.values()].map(({ done }) => done);
      await within(graceMs, allOver());
      for (const live of jobs.values()) live.controller.abort(isLasting(live) ? LEFT : undefined);
      await within(STOP_MS, allOver());
      await within(LAST_WRITES_MS, [allDone()]);
    },
  };
}
