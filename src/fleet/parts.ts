import { InterruptedError, UsageError } from '../errors';
import { atMost } from '../io/at-most';
import type { FarTarget } from '../server/workers/far-target';
import { VERSION } from '../version';
import { heard } from './channels';
import { type Over, overSchema } from './job';
import { CHANNELS } from './names';
import { type FleetPart, PART_KEEP_S, PART_KEYS, partId } from './part';
import type { FleetQueue } from './queue';
import { errorOf } from './runner';
import { workersOf } from './workers';

/** Asks the workers of a queue. */
export interface Parts {
  /**
   * The answer to a question. Equal ones are asked once, as long as their answers are remembered: what is measured on the
   * pairs that were calibrated on begins with the same uncached runs.
   * @throws ErtaError that the worker had, InterruptedError when it was stopped
   */
  ask(target: FarTarget, question: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  close(): void;
}

/** Questions in Redis for each place of a worker: one is answered while the next one waits. */
const AHEAD = 2;
/** Worker processes that may come later find something to do. */
const LEAST_AHEAD = 8;
/** How often it is looked for answers that nobody told, in milliseconds. */
const LOOK_MS = 1000;

/** Bytes of answers that are remembered, the newest. */
const MOST_REMEMBERED = 2 ** 28;

/** One who waits for a part does no more; when nobody does, nothing of it is kept. Keys: those who ask, and the rest. */
const LEAVE = `
if redis.call('decr', KEYS[1]) > 0 then return 0 end
redis.call('unlink', unpack(KEYS))
return 1`;

interface Open {
  readonly part: FleetPart;
  readonly question: Uint8Array;
  settle(fault?: Over['fault']): void;
}

export async function createParts(queue: FleetQueue): Promise<Parts> {
  const { redis, channels } = queue;
  const open = new Map<string, Open>();
  const answers = new Map<string, Promise<Uint8Array>>();
  const remembered = rememberedAnswers(MOST_REMEMBERED);
  const places = (await workersOf(queue)).reduce((sum, worker) => sum + worker.places, 0);
  const inTurn = atMost(Math.max(LEAST_AHEAD, AHEAD * places));
  const deaf = await channels.on(CHANNELS.over, message => {
    const over = overSchema.safeParse(heard(message));
    if (over.success) open.get(over.data.id)?.settle(over.data.fault);
  });
  let isLooking = false;
  /** Answers may have come while Redis was away, and questions may be lost with it. */
  async function look(): Promise<void> {
    if (isLooking) return;
    isLooking = true;
    try {
      for (const [id, { part, question, settle }] of open) {
        if ((await redis.exists(PART_KEYS.answer(id), PART_KEYS.fault(id))) > 0) settle();
        else await queue.addPart(id, part, question, { rank: open.size, isAsked: false });
        await redis.expire(PART_KEYS.askers(id), PART_KEEP_S);
      }
    } finally {
      isLooking = false;
    }
  }
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MS);

  /** When it is known what became of a part. */
  async function settled(
    id: string,
    part: FleetPart,
    question: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Over['fault']> {
    requireGoingOn(signal);
    let stop = (): void => {};
    try {
      return await new Promise((resolve, reject) => {
        open.set(id, { part, question, settle: resolve });
        stop = (): void => reject(new InterruptedError('Stopped.', signal?.reason));
        signal?.addEventListener('abort', stop, { once: true });
        queue.addPart(id, part, question, { rank: open.size, isAsked: true }).catch(reject);
      });
    } finally {
      signal?.removeEventListener('abort', stop);
      open.delete(id);
    }
  }

  /** Another command may ask the same. Nothing is taken away or stopped as long as it waits. */
  async function leave(id: string, isStopped: boolean): Promise<void> {
    const keys = [PART_KEYS.askers, PART_KEYS.question, PART_KEYS.answer, PART_KEYS.fault].map(key => key(id));
    const isLast = (await redis.eval(LEAVE, keys.length, ...keys)) === 1;
    if (isLast && isStopped) await queue.cancel(id);
  }

  async function asked(id: string, part: FleetPart, question: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    requireGoingOn(signal);
    const askers = PART_KEYS.askers(id);
    await redis.multi().incr(askers).expire(askers, PART_KEEP_S).exec();
    try {
      for (;;) {
        const told = await settled(id, part, question, signal);
        const [answer, fault] = await redis.mgetBuffer(PART_KEYS.answer(id), PART_KEYS.fault(id));
        if (answer) return new Uint8Array(answer);
        const kept = overSchema.shape.fault.safeParse(heard(String(fault))).data;
        if (told ?? kept) throw errorOf({ id, state: 'failed', fault: told ?? kept });
        // It was taken away by one who had asked before, and is asked anew.
      }
    } finally {
      leave(id, signal?.aborted ?? false).catch(() => {});
    }
  }

  return {
    ask(target, question, signal) {
      const part: FleetPart = { format: 'ertacache-fleet-part', version: 1, target, ertacache: VERSION };
      const id = partId(part, question);
      const known = remembered.get(id);
      if (known) return Promise.resolve(known);
      const answer = answers.get(id) ?? inTurn(() => asked(id, part, question, signal));
      if (!answers.has(id)) {
        answers.set(id, answer);
        const forget = (): void => void answers.delete(id);
        answer.then(bytes => {
          remembered.set(id, bytes);
          forget();
        }, forget);
      }
      return answer;
    },
    close() {
      clearInterval(timer);
      deaf();
    },
  };
}

/** Answers by their questions, as many as there is room for. */
export function rememberedAnswers(most: number) {
  const held = new Map<string, Uint8Array>();
  let size = 0;
  return {
    get: (id: string): Uint8Array | undefined => held.get(id),
    set(id: string, bytes: Uint8Array): void {
      held.set(id, bytes);
      size += bytes.length;
      for (const [oldest, { length }] of held) {
        if (size <= most) break;
        held.delete(oldest);
        size -= length;
      }
    },
  };
}

function requireGoingOn(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new InterruptedError('Stopped.', signal.reason);
}

/** @throws UsageError where nobody would answer */
export async function requireWorkers(queue: FleetQueue, model: string): Promise<number> {
  const able = (await workersOf(queue)).filter(({ models }) => models.includes(model));
  if (able.length > 0) return able.reduce((sum, { places }) => sum + places, 0);
  throw new UsageError(`No worker of this queue has the model "${model}".`, {
    hint: 'Start one: ertacache worker --queue ADDRESS --model FOLDER',
  });
}
