import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Worker as BullWorker, Job } from 'bullmq';
import { ErtaError } from '../errors';
import { printable } from '../printable';
import { faultOf } from '../server/jobs/faults';
import type { PieceEvent, Runner } from '../server/jobs/runner';
import type { Log } from '../server/log';
import { VERSION } from '../version';
import { filesHere } from './files-here';
import { fleetJobSchema, type Over } from './job';
import { CHANNELS, KEYS, PREFIX, queueOf } from './names';
import { bullmq } from './packages';
import { fleetPartSchema, PART_KEEP_S, PART_KEYS } from './part';
import { type FleetQueue, faultOfReason, forget, reasonOf } from './queue';
import { shelf } from './shelf';
import { doPart, doTask, Hopeless, StoreFault, storeOfJobs } from './task';

/** One process that takes jobs from a queue, and has them drawn by others: its own event loop is always free. */
export interface FleetWorker {
  /** Jobs that it has now. */
  running(): number;
  /**
   * Takes no more jobs, waits for those that it has, and gives back those that are not done in time: they go on elsewhere.
   * @param graceMs how long they are waited for, in milliseconds
   */
  close(graceMs: number): Promise<void>;
}

export interface FleetWorkerOptions {
  readonly queue: FleetQueue;
  /** Those who draw; they stay the caller's. */
  readonly runner: Runner;
  /** Names of the models that can be drawn with. */
  readonly models: readonly string[];
  readonly log: Log;
  readonly logPrompts?: boolean | undefined;
  /** Logs where in the code something failed. */
  readonly verbose?: boolean | undefined;
}

/** A worker that says nothing for so long has its jobs taken away, in milliseconds. */
const LOCK_MS = 6000;
const RENEW_MS = 2000;
const STALLED_MS = 2500;
/** Workers that may end while they have a job, after which the job is taken to be what ends them. */
const MOST_STALLS = 3;
/** How often it is looked for jobs that nobody called out, in milliseconds. */
const POLL_MS = 500;
const BEAT_MS = 5000;
/** How long Redis has to hear that a worker ends. */
const FAREWELL_MS = 2000;
/** The same where it does not answer already. */
const AWAY_MS = 300;
const DEAD_MS = 15_000;
/** How often a store that took nothing is tried again. */
const PROBE_MS = 5000;
/** Steps are told at most so often, in milliseconds. */
const STEP_MS = 100;

interface Holding {
  readonly bull: BullWorker;
  readonly job: Job;
  readonly token: string;
  readonly controller: AbortController;
  /** Whether the job is to be given back when it is stopped. */
  isGivenBack: boolean;
  isCancelled: boolean;
  /** Whether whoever draws it can be handed another one already. */
  isEnding: boolean;
  done: Promise<void>;
}

/** Starts to take jobs. */
export async function startFleetWorker(options: FleetWorkerOptions): Promise<FleetWorker> {
  const { queue, runner, models, log } = options;
  const { redis, channels } = queue;
  const store = storeOfJobs(queue.store);
  const { Worker, UnrecoverableError } = await bullmq();
  const id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const bulls = new Map(
    models.map(model => {
      const bull = new Worker(queueOf(model), null, {
        connection: redis,
        prefix: PREFIX,
        autorun: false,
        skipVersionCheck: true,
        name: id,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_MS,
        maxStalledCount: MOST_STALLS,
      });
      bull.on('error', () => {});
      bull.on('stalled', jobId => log.warn({ job: jobId }, 'its worker has ended; another one goes on'));
      return [model, bull] as const;
    }),
  );
  const order = shelf(models);
  const files = filesHere(store);
  const keeping = { store, files };
  /** By their tokens: one that lost its lock may be handed out to the same worker once more. */
  const holdings = new Map<string, Holding>();
  let isOpen = true;
  /** Why no job is taken now. */
  let hindrance: string | undefined;
  let tokens = 0;
  let drawn = 0;
  let filling: Promise<void> | undefined;
  let isCalled = false;

  /** Takes jobs while there are places. */
  function fill(): void {
    isCalled = true;
    filling ??= takeAll()
      .catch(error => log.error({ error: String(error) }, 'no job could be taken'))
      .finally(() => {
        filling = undefined;
        if (isCalled && isOpen) fill();
      });
  }

  async function takeAll(): Promise<void> {
    isCalled = false;
    while (isOpen && hindrance === undefined && hasRoom() && (await takeOne()));
  }

  /** The next job is taken while one comes to its end: what lies between two pictures is then no pause. */
  function hasRoom(): boolean {
    const ending = [...holdings.values()].filter(({ isEnding }) => isEnding).length;
    return holdings.size < runner.places + ending;
  }

  /** Takes a job of a model that is in memory, or else one of another. */
  async function takeOne(): Promise<boolean> {
    const all = runner.health().workers;
    const idle = all.filter(({ state }) => state === 'idle');
    const held = (idle.length > 0 ? idle : all).flatMap(each => each.models);
    for (const model of order.inTurn(held)) {
      const token = `${id}:${tokens++}`;
      const bull = bulls.get(model) as BullWorker;
      const job = (await bull.getNextJob(token, { block: false })) as Job | undefined;
      if (!job) continue;
      order.served(model);
      hold(bull, job, token);
      return true;
    }
    return false;
  }

  function hold(bull: BullWorker, job: Job, token: string): void {
    const holding: Holding = {
      ...{ bull, job, token },
      controller: new AbortController(),
      isGivenBack: false,
      isCancelled: false,
      isEnding: false,
      done: Promise.resolve(),
    };
    holdings.set(token, holding);
    holding.done = work(holding)
      .catch(error => log.error({ job: job.id, error: String(error) }, 'what became of the job could not be told'))
      .finally(() => {
        holdings.delete(token);
        fill();
      });
  }

  async function work(holding: Holding): Promise<void> {
    const { job, token, controller } = holding;
    const jobId = String(job.id);
    const started = performance.now();
    const { signal } = controller;
    const onEnding = (): void => {
      holding.isEnding = true;
      fill();
    };
    const part = fleetPartSchema.safeParse(job.data);
    const parsed = fleetJobSchema.safeParse(job.data);
    try {
      // BullMQ hands out once more what has ended too many workers, and leaves it to us to fail it.
      if (job.deferredFailure) throw new Hopeless(faultOfReason(job.deferredFailure));
      if (!parsed.success && !part.success)
        throw new Hopeless({ code: 'job', message: 'The job is not one that this version can read.' });
      if (await redis.exists(KEYS.cancelled(jobId))) stop(holding);
      if (part.success) await doPart({ id: jobId, part: part.data, signal }, runner, { redis, files });
      else if (parsed.success) {
        await doTask({ id: jobId, job: parsed.data, signal, onEvent: telling(holding), onEnding }, runner, keeping);
      }
      await job.moveToCompleted(null, token, false);
      await over(job, { id: jobId, state: 'completed' });
      if (!parsed.success) return;
      drawn++;
      const prompt = options.logPrompts ? parsed.data.piece.request.prompt : undefined;
      log.info({ job: jobId, model: parsed.data.piece.request.model, seconds: since(started), prompt }, 'drawn');
    } catch (error) {
      await ended(holding, error);
    }
  }

  /** A stopped job that somebody has asked for since. */
  async function isWantedAgain({ job, isCancelled }: Holding): Promise<boolean> {
    const jobId = String(job.id);
    if (!isCancelled || (await redis.unlink(KEYS.again(jobId))) === 0) return false;
    await redis.unlink(KEYS.cancelled(jobId));
    log.info({ job: jobId }, 'asked for again');
    return true;
  }

  async function ended(holding: Holding, error: unknown): Promise<void> {
    const { job, token, isGivenBack, isCancelled, controller } = holding;
    const jobId = String(job.id);
    if (/Missing lock|Missing key|not in the active state/i.test(String(error))) {
      // Somebody else has it: what both draw is the same.
      log.warn({ job: jobId }, 'another worker has taken the job');
      return;
    }
    if (isGivenBack && controller.signal.aborted) {
      await job.moveToWait(token);
      log.info({ job: jobId }, 'given back');
      return;
    }
    if (error instanceof StoreFault && !isCancelled) {
      await job.moveToWait(token);
      hinder(error.message);
      return;
    }
    if (await isWantedAgain(holding)) {
      await job.moveToWait(token);
      return;
    }
    const fault = error instanceof Hopeless ? error.fault : workerFault(error);
    const stack = options.verbose && error instanceof Error ? error.stack : undefined;
    log.warn({ job: jobId, ...fault, ...(stack !== undefined && { stack }) }, 'failed');
    const isFinal = isCancelled || error instanceof Hopeless;
    const told = isCancelled ? CANCELLED : fault;
    const failure = isFinal ? new UnrecoverableError(reasonOf(told)) : new Error(reasonOf(told));
    await job.moveToFailed(failure, token, false);
    const isLast = isFinal || job.attemptsMade >= (job.opts.attempts ?? 1);
    const isPart = fleetPartSchema.safeParse(job.data).success;
    // Asked for at that very moment. Nothing is left of a part: who asks for it adds it again.
    if (await isWantedAgain(holding)) {
      if (!isPart) await job.retry('failed');
      return;
    }
    if (isLast && isPart) {
      await redis.set(PART_KEYS.fault(jobId), JSON.stringify(told), 'EX', PART_KEEP_S);
    }
    if (isLast) await over(job, { id: jobId, state: isCancelled ? 'cancelled' : 'failed', fault: told });
  }

  /** Takes no job until the store can be used again: each would be drawn for nothing. */
  function hinder(why: string): void {
    if (hindrance === undefined) log.error({ error: why }, 'no job is taken until the store can be used again');
    hindrance = why;
  }

  async function probe(): Promise<void> {
    if (hindrance === undefined) return;
    const name = `probe-${id}`;
    await store.put(name, new Uint8Array(1));
    await store.get(name);
    await store.remove(name).catch(() => {});
    hindrance = undefined;
    log.info({}, 'the store can be used again');
    fill();
  }

  /** A job is over: whoever waits is told. */
  async function over(job: Job, told: Over): Promise<void> {
    await forget(redis, String(job.id));
    await redis.publish(CHANNELS.over, JSON.stringify(told));
  }

  function telling({ job }: Holding): (event: PieceEvent) => void {
    const channel = CHANNELS.events(String(job.id));
    let last = 0;
    const tell = (event: object): void => void redis.publish(channel, JSON.stringify(event)).catch(() => {});
    return event => {
      if (event.type === 'preview') tell({ ...event, bytes: Buffer.from(event.bytes).toString('base64') });
      if (event.type !== 'step') return;
      const now = performance.now();
      if (now - last < STEP_MS && event.done < event.total) return;
      last = now;
      tell(event);
      job.updateProgress(Math.floor((100 * event.done) / event.total)).catch(() => {});
    };
  }

  function stop(holding: Holding): void {
    holding.isCancelled = true;
    holding.controller.abort();
  }

  async function renew(): Promise<void> {
    for (const bull of bulls.values()) {
      const mine = [...holdings.values()].filter(each => each.bull === bull);
      if (mine.length === 0) continue;
      const ids = mine.map(({ job }) => String(job.id));
      await bull.extendJobLocks(
        ids,
        mine.map(({ token }) => token),
        LOCK_MS,
      );
      // Calls to stop may have been missed while Redis was away.
      const stopped = await redis.mget(ids.map(KEYS.cancelled));
      for (const [i, holding] of mine.entries()) if (stopped[i] !== null) stop(holding);
    }
  }

  async function beat(): Promise<void> {
    const now = Date.now();
    const held = [...new Set(runner.health().workers.flatMap(each => each.models))];
    const facts = {
      ...{ host: hostname(), pid: process.pid, version: VERSION, places: runner.places, models, held, drawn },
      // One more is held while one comes to its end.
      running: Math.min(holdings.size, runner.places),
      ...(hindrance !== undefined && { fault: hindrance }),
    };
    await redis
      .multi()
      .zadd(KEYS.workers, now + DEAD_MS, id)
      .hset(KEYS.workerFacts, id, JSON.stringify(facts))
      .exec();
  }

  async function farewell(): Promise<void> {
    await redis.multi().zrem(KEYS.workers, id).hdel(KEYS.workerFacts, id).publish(CHANNELS.wake, '').exec();
  }

  const timers: NodeJS.Timeout[] = [];
  const repeat = (ms: number, what: () => unknown): void => {
    timers.push(setInterval(() => void Promise.resolve(what()).catch(() => {}), ms));
  };
  const deaf = [
    await channels.on(CHANNELS.wake, model => {
      if (bulls.has(model)) fill();
    }),
    await channels.on(CHANNELS.cancel, jobId => {
      for (const holding of holdings.values()) if (String(holding.job.id) === jobId) stop(holding);
    }),
  ];
  await Promise.all([...bulls.values()].map(bull => bull.waitUntilReady()));
  await Promise.all([...bulls.values()].map(bull => bull.startStalledCheckTimer()));
  await beat();
  repeat(RENEW_MS, renew);
  repeat(POLL_MS, fill);
  repeat(BEAT_MS, beat);
  repeat(PROBE_MS, probe);
  fill();

  return {
    running: () => holdings.size,
    async close(graceMs) {
      isOpen = false;
      for (const stopHearing of deaf.slice(0, 1)) stopHearing();
      // A Redis that is away is not waited for: what it knows of this worker runs out by itself.
      const answerMs = (): number => (queue.isThere() ? FAREWELL_MS : AWAY_MS);
      // A job may be on its way.
      await Promise.race([filling, wait(Math.min(graceMs, answerMs()))]);
      const all = [...holdings.values()];
      await Promise.race([Promise.all(all.map(({ done }) => done)), wait(graceMs)]);
      for (const holding of holdings.values()) {
        holding.isGivenBack = true;
        holding.controller.abort();
      }
      await Promise.race([Promise.all([...holdings.values()].map(({ done }) => done)), wait(LOCK_MS)]);
      for (const timer of timers) clearInterval(timer);
      await files.close();
      await Promise.race([farewell().catch(() => {}), wait(answerMs())]);
      const closed = [...bulls.values()].map(bull => bull.close(true).catch(() => {}));
      await Promise.race([Promise.all(closed), wait(answerMs())]);
      for (const bull of bulls.values()) void bull.disconnect().catch(() => {});
    },
  };
}

/** What went wrong, in the worker's words. */
const workerFault = (error: unknown): { code: string; message: string } =>
  ErtaError.isInstance(error)
    ? faultOf(error)
    : { code: 'failure', message: printable(String((error as Error)?.message)) };

const CANCELLED = { code: 'cancelled', message: 'The job was cancelled before it was finished.' };

const since = (started: number): number => Number(((performance.now() - started) / 1000).toFixed(2));

/** The longest that timers take, in milliseconds; one that is to take longer ends at once. */
const LONGEST = 2 ** 31 - 1;

const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, Math.min(ms, LONGEST)).unref());
