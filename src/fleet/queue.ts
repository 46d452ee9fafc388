import type { Job, Queue } from 'bullmq';
import type { Log } from '../server/log';
import type { QueueAddress } from './address';
import { type Channels, createChannels, heard } from './channels';
import { type FleetJob, fleetJobSchema, type JobState, jobId, NAMES, type Over, overSchema } from './job';
import { CHANNELS, KEYS, PREFIX, queueOf } from './names';
import { bullmq } from './packages';
import { type FleetPart, PART_KEEP_S, PART_KEYS } from './part';
import { anotherConnection, bufferOf, connectRedis, type Redis } from './redis';
import { openStore } from './store/open';
import type { FileStore } from './store/store';

/** A queue on Redis, as those see it who want pictures of it. */
export interface FleetQueue {
  readonly redis: Redis;
  readonly store: FileStore;
  readonly channels: Channels;
  /** Whether Redis answers. */
  isThere(): boolean;
  /**
   * Adds jobs; one that is there already, or was drawn before, is joined.
   * @param priority 0, first, to 7
   * @returns their ids, in their order, and the states of those that were there
   */
  add(
    jobs: readonly FleetJob[],
    priority: number,
  ): Promise<readonly { readonly id: string; readonly state: JobState }[]>;
  /**
   * Adds a question about a model, where it is not there.
   * @param id `partId` of it
   */
  addPart(id: string, part: FleetPart, question: Uint8Array, asked: AskedPart): Promise<void>;
  state(model: string, id: string): Promise<JobState>;
  /** Why a job failed. */
  fault(model: string, id: string): Promise<Over['fault']>;
  /** How many jobs are in each state, for each model. */
  counts(): Promise<ReadonlyMap<string, Readonly<Record<JobCount, number>>>>;
  /** Failed jobs and those that were cancelled while they were drawn, the newest first. */
  failed(most: number): Promise<readonly FailedJob[]>;
  /** Jobs that wait or are drawn now, those first that come first. */
  unfinished(most: number): Promise<readonly UnfinishedJob[]>;
  /** Stops all unfinished jobs of a user. @returns how many */
  cancelOf(user: string): Promise<number>;
  /**
   * One who waits for a job does no more; it is stopped when nobody does.
   * @param goesOn whether it is left to others instead, who will ask for it
   */
  letGo(model: string, id: string, goesOn?: boolean): Promise<void>;
  /** Stops a job, whoever waits for it. @returns whether it was not over yet */
  cancel(id: string): Promise<boolean>;
  /** Lets failed jobs wait again; cancelled ones only by their ids. @returns how many */
  retry(ids?: readonly string[]): Promise<number>;
  /** Removes the jobs that wait. @returns how many */
  drain(): Promise<number>;
  /** The queues of BullMQ, for its board. */
  queues(): Promise<readonly Queue[]>;
  close(): Promise<void>;
}

/** How a part is asked for. */
export interface AskedPart {
  /** Where it stands among the unfinished ones of who asks, from 1. */
  readonly rank: number;
  /** Whether it is asked for now: one that is only looked after is not begun again when it is being stopped. */
  readonly isAsked: boolean;
}

const COUNTED = ['waiting', 'active', 'delayed', 'completed'] as const;
type JobCount = (typeof COUNTED)[number] | 'failed' | 'cancelled';

/** Redis is asked now and then, and is away when it says nothing for so long, in milliseconds. */
const PING_MS = 1000;
const SILENT_MS = 4000;

/** How long Redis has to hear that a queue is left, in milliseconds. */
const CLOSE_MS = 1000;

export interface UnfinishedJob {
  readonly id: string;
  readonly model: string;
  readonly prompt: string;
  readonly user: string;
  readonly state: 'waiting' | 'active';
}

export interface FailedJob {
  readonly id: string;
  readonly model: string;
  readonly prompt: string;
  readonly reason: string;
  readonly isCancelled: boolean;
  readonly attempts: number;
}

export interface QueueOptions {
  readonly address: QueueAddress;
  readonly ca?: string | undefined;
  /** Where pictures are kept. */
  readonly place: string;
  readonly log?: Log | undefined;
}

/** Tries of a job, and how long is waited before the second one, in milliseconds; twice as long before every further. */
const ATTEMPTS = 3;
const BACK_OFF_MS = 1000;
/** Finished jobs that Redis remembers; their pictures lie in the store, which is asked first. */
const KEPT = { completed: { age: 24 * 3600, count: 10_000 }, failed: { age: 14 * 24 * 3600, count: 100_000 } };
/** Jobs that are added in one go. */
const CHUNK = 500;
/** Places of one priority: a user's n-th unfinished job stands beside the n-th of others. */
const RANKS = 2 ** 18;
export const PRIORITIES = { most: 7, usual: 4 } as const;
/** So long a worker that was away is told that a job is to be stopped. */
const CANCEL_S = 24 * 3600;

/** @throws ErtaError where Redis or the store cannot be used */
export async function openQueue(options: QueueOptions): Promise<FleetQueue> {
  const { Queue: BullQueue } = await bullmq();
  const redis = await connectRedis(options);
  const store = await openStore(options.place, redis).catch(error => {
    redis.disconnect();
    throw error;
  });
  const channels = createChannels(anotherConnection(redis, options));
  const queues = new Map<string, Queue>();
  let askedAt: number | undefined;
  const answered = (): void => {
    askedAt = undefined;
  };
  const asking = setInterval(() => {
    if (askedAt !== undefined || redis.status !== 'ready') return;
    askedAt = Date.now();
    redis.ping().then(answered, answered);
  }, PING_MS).unref();

  function queue(model: string): Queue {
    const found = queues.get(model);
    if (found) return found;
    const made = new BullQueue(queueOf(model), {
      connection: redis,
      prefix: PREFIX,
      skipVersionCheck: true,
      streams: { events: { maxLen: 1000 } },
    });
    // Outages are told by the connection.
    made.on('error', () => {});
    queues.set(model, made);
    return made;
  }
  const models = (): Promise<string[]> => redis.smembers(KEYS.models);

  async function addSome(jobs: readonly FleetJob[], priority: number) {
    const known = await Promise.all(
      jobs.map(async job => {
        const id = jobId(job);
        return { job, id, state: await settled(job, id) };
      }),
    );
    const isNew = ({ id, state }: (typeof known)[number], i: number): boolean =>
      state === 'unknown' && known.findIndex(other => other.id === id) === i;
    const fresh = known.filter(isNew);
    const holds = redis.pipeline();
    for (const { id, state } of known) if (state !== 'completed') holds.hincrby(KEYS.holders, id, 1);
    await holds.exec();
    for (const model of new Set(fresh.map(({ job }) => job.piece.request.model))) {
      await redis.sadd(KEYS.models, model);
      const mine = fresh.filter(({ job }) => job.piece.request.model === model);
      await queue(model).addBulk(await Promise.all(mine.map(({ job, id }) => entryOf(job, id, priority))));
      await redis.publish(CHANNELS.wake, model);
    }
    return known.map(({ id, state }) => ({ id, state }));
  }

  async function entryOf(job: FleetJob, id: string, priority: number) {
    const rank = Number(await redis.eval(COUNT, 2, KEYS.counted, KEYS.users, id, job.user));
    return { name: 'draw', data: job, opts: optionsOf(id, priority, rank) };
  }

  /** Adds a part that is not there. Nothing is remembered of it when it is over. */
  async function addPart(
    id: string,
    part: FleetPart,
    question: Uint8Array,
    { rank, isAsked }: AskedPart,
  ): Promise<void> {
    const { model } = part.target;
    const key = PART_KEYS.question(id);
    // It is asked again and again whether a part is still there, and questions may be large.
    if ((await redis.expire(key, PART_KEEP_S)) === 0) await redis.set(key, bufferOf(question), 'EX', PART_KEEP_S);
    await redis.sadd(KEYS.models, model);
    const state = isAsked ? wanted(queue(model), id) : stateOf(queue(model), id);
    if ((await state) !== 'unknown') return;
    const opts = { ...optionsOf(id, PRIORITIES.usual, rank), removeOnComplete: true, removeOnFail: true };
    await queue(model).add('part', part, opts);
    await redis.publish(CHANNELS.wake, model);
  }

  /** The state of a job that is asked for. One that is being stopped is begun again when it has been. */
  async function wanted(own: Queue, id: string): Promise<JobState> {
    const state = await stateOf(own, id);
    if (!isUnfinished(state) || (await redis.exists(KEYS.cancelled(id))) === 0) return state;
    await redis.set(KEYS.again(id), '1', 'EX', CANCEL_S);
    // It may have been stopped meanwhile, by one who did not yet know.
    return stateOf(own, id);
  }

  /** What has become of a job; one that is to be drawn anew is unknown. */
  async function settled(job: FleetJob, id: string): Promise<JobState> {
    const own = queue(job.piece.request.model);
    const state = await wanted(own, id);
    if (isUnfinished(state)) return state;
    const kept = await Promise.all([NAMES.result(id), NAMES.output(id, job)].map(name => store.has(name)));
    if (kept.every(Boolean)) return 'completed';
    // It failed, or its picture is no longer there.
    if (state !== 'unknown') await own.remove(id);
    await redis.unlink(KEYS.cancelled(id), KEYS.again(id));
    return 'unknown';
  }

  async function unfinished(most: number): Promise<UnfinishedJob[]> {
    const all: UnfinishedJob[] = [];
    for (const model of await models()) {
      for (const state of ['active', 'waiting'] as const) {
        const names = state === 'active' ? (['active'] as const) : (['prioritized', 'waiting', 'delayed'] as const);
        for (let from = 0; all.length < most; from += CHUNK) {
          const some = (await queue(model).getJobs([...names], from, from + CHUNK - 1, true)) as (Job | undefined)[];
          for (const job of some) {
            const data = fleetJobSchema.safeParse(job?.data);
            if (!data.success) continue;
            const { piece, user } = data.data;
            all.push({ id: String(job?.id), model, prompt: piece.request.prompt, user, state });
          }
          if (some.length < CHUNK) break;
        }
      }
    }
    return all.slice(0, most);
  }

  /** BullMQ keeps what was cancelled while it was drawn among what failed: only the reasons tell them apart. */
  async function endedOf(own: Queue): Promise<{ failed: number; cancelled: number }> {
    const ids = await own.getRanges(['failed'], 0, -1);
    let cancelled = 0;
    for (let from = 0; from < ids.length; from += CHUNK) {
      const asked = redis.pipeline();
      for (const id of ids.slice(from, from + CHUNK)) asked.hget(own.toKey(id), 'failedReason');
      for (const [, reason] of (await asked.exec()) ?? []) {
        if (typeof reason === 'string' && faultOfReason(reason).code === 'cancelled') cancelled++;
      }
    }
    return { failed: ids.length - cancelled, cancelled };
  }

  async function tellOver(over: Over): Promise<void> {
    await redis.publish(CHANNELS.over, JSON.stringify(over));
  }

  async function stop(model: string, id: string): Promise<boolean> {
    const own = queue(model);
    const state = await stateOf(own, id);
    if (state === 'waiting') {
      const job = (await own.getJob(id)) as Job | undefined;
      // A worker that has just taken it holds its lock.
      const isGone = await job?.remove().then(
        () => true,
        () => false,
      );
      if (isGone) {
        await forget(redis, id);
        await tellOver({ id, state: 'cancelled' });
        return true;
      }
    } else if (state !== 'active') return false;
    await redis.multi().set(KEYS.cancelled(id), '1', 'EX', CANCEL_S).unlink(KEYS.again(id)).exec();
    await redis.publish(CHANNELS.cancel, id);
    return true;
  }

  return {
    redis,
    store,
    channels,
    isThere: () => redis.status === 'ready' && Date.now() - (askedAt ?? Date.now()) < SILENT_MS,
    async add(jobs, priority) {
      const all: { readonly id: string; readonly state: JobState }[] = [];
      for (let from = 0; from < jobs.length; from += CHUNK) {
        all.push(...(await addSome(jobs.slice(from, from + CHUNK), priority)));
      }
      return all;
    },
    addPart,
    async state(model, id) {
      const state = await stateOf(queue(model), id);
      return state === 'unknown' && (await store.has(NAMES.result(id))) ? 'completed' : state;
    },
    async fault(model, id) {
      const job = (await queue(model).getJob(id)) as Job | undefined;
      return job?.failedReason === undefined ? undefined : faultOfReason(job.failedReason);
    },
    async counts() {
      const named = (await models()).sort().map(async model => {
        const [found, ended] = await Promise.all([
          queue(model).getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'completed'),
          endedOf(queue(model)),
        ]);
        const of = (name: string): number => found[name] ?? 0;
        const counted = Object.fromEntries(COUNTED.map(name => [name, of(name)])) as Record<
          (typeof COUNTED)[number],
          number
        >;
        return [model, { ...counted, ...ended, waiting: of('waiting') + of('prioritized') }] as const;
      });
      return new Map(await Promise.all(named));
    },
    async failed(most) {
      const all: FailedJob[] = [];
      for (const model of await models()) {
        for (const job of (await queue(model).getFailed(0, most - 1)) as Job[]) {
          const data = fleetJobSchema.safeParse(job.data);
          const fault = faultOfReason(job.failedReason ?? '');
          all.push({
            id: String(job.id),
            model,
            prompt: data.success ? data.data.piece.request.prompt : '',
            reason: fault.message,
            isCancelled: fault.code === 'cancelled',
            attempts: job.attemptsMade,
          });
        }
      }
      return all.slice(0, most);
    },
    unfinished: most => unfinished(most),
    async cancelOf(user) {
      let count = 0;
      for (const job of await unfinished(Number.MAX_SAFE_INTEGER)) {
        if (job.user === user && (await stop(job.model, job.id))) count++;
      }
      return count;
    },
    async letGo(model, id, goesOn = false) {
      if ((await redis.hincrby(KEYS.holders, id, -1)) > 0) return;
      if (goesOn || !(await stop(model, id))) await redis.hdel(KEYS.holders, id);
    },
    async cancel(id) {
      for (const model of await models()) if (await stop(model, id)) return true;
      return false;
    },
    async retry(ids) {
      let count = 0;
      for (const model of await models()) {
        const failed = ids
          ? await Promise.all(ids.map(id => queue(model).getJob(id) as Promise<Job | undefined>))
          : ((await queue(model).getFailed()) as Job[]);
        for (const job of failed) {
          if (!job || !(await job.isFailed())) continue;
          // What somebody stopped is taken up again only by its own name.
          if (!ids && faultOfReason(job.failedReason).code === 'cancelled') continue;
          await redis.unlink(KEYS.cancelled(String(job.id)));
          // Its workers may live this time: BullMQ goes on counting those that ended.
          await redis.hdel(queue(model).toKey(String(job.id)), 'stc', 'defa');
          await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true });
          count++;
        }
        if (count > 0) await redis.publish(CHANNELS.wake, model);
      }
      return count;
    },
    async drain() {
      let count = 0;
      for (const model of await models()) {
        const { waiting = 0, prioritized = 0, delayed = 0 } = await queue(model).getJobCounts();
        await queue(model).drain(true);
        count += waiting + prioritized + delayed;
      }
      await redis.unlink(KEYS.users, KEYS.counted, KEYS.holders);
      return count;
    },
    queues: async () => (await models()).map(queue),
    async close() {
      clearInterval(asking);
      // Where Redis is away, closing would wait for it.
      const closed = Promise.all([...queues.values()].map(each => each.close())).catch(() => {});
      await Promise.race([closed, new Promise(resolve => setTimeout(resolve, CLOSE_MS).unref())]);
      channels.close();
      redis.disconnect();
    },
  };
}

/** @param rank which of its user's unfinished jobs it is, from 1 */
function optionsOf(jobId: string, priority: number, rank: number) {
  return {
    jobId,
    priority: priority * RANKS + Math.min(rank, RANKS - 1) + 1,
    attempts: ATTEMPTS,
    backoff: { type: 'exponential', delay: BACK_OFF_MS },
    removeOnComplete: KEPT.completed,
    removeOnFail: KEPT.failed,
    stackTraceLimit: 1,
  };
}

const isUnfinished = (state: JobState): boolean => state === 'waiting' || state === 'active';

async function stateOf(queue: Queue, id: string): Promise<JobState> {
  const state = await queue.getJobState(id);
  if (state === 'active' || state === 'completed' || state === 'failed') return state;
  return state === 'unknown' ? 'unknown' : 'waiting';
}

/**
 * Counts a job among the unfinished ones of its user, once, whoever else adds it at the same time. Keys: whose the counted
 * jobs are, and the counts; arguments: the job and its user. Gives how many the user has.
 */
const COUNT = `
if redis.call('hsetnx', KEYS[1], ARGV[1], ARGV[2]) == 1 then return redis.call('hincrby', KEYS[2], ARGV[2], 1) end
return tonumber(redis.call('hget', KEYS[2], ARGV[2])) or 1`;

/** The contrary, for a job that is counted. */
const UNCOUNT = `
local user = redis.call('hget', KEYS[1], ARGV[1])
if not user then return end
redis.call('hdel', KEYS[1], ARGV[1])
if redis.call('hincrby', KEYS[2], user, -1) <= 0 then redis.call('hdel', KEYS[2], user) end`;

/** A job is over: nobody waits for it, and it no longer stands before the others of its user. */
export async function forget(redis: Redis, id: string): Promise<void> {
  await Promise.all([
    redis.hdel(KEYS.holders, id),
    redis.unlink(KEYS.cancelled(id), KEYS.again(id)),
    redis.eval(UNCOUNT, 2, KEYS.counted, KEYS.users, id),
  ]);
}

/** Failures are kept as JSON, with what programs switch on. */
export const reasonOf = (fault: NonNullable<Over['fault']>): string => JSON.stringify(fault);

export function faultOfReason(reason: string): NonNullable<Over['fault']> {
  const parsed = overSchema.shape.fault.safeParse(heard(reason));
  if (parsed.success && parsed.data) return parsed.data;
  const isStalled = /stalled/.test(reason);
  return {
    code: isStalled ? 'given_up' : 'failure',
    message: isStalled ? 'Its workers ended again and again while they drew it; it is not begun again.' : reason,
  };
}
