import { z } from 'zod';
import { heard } from './channels';
import { type Over, overSchema } from './job';
import { CHANNELS } from './names';
import type { FleetQueue } from './queue';

/** How often it is looked what has become of jobs, where Redis was away when it was told, in milliseconds. */
const LOOK_MS = 2000;

/** Tells how jobs end, each once. */
export interface Follower {
  /**
   * @param adding ends when the job is in its queue: before that nothing is to be learnt from its being nowhere
   * @param onOver called when it is over; at once where it is already
   * @returns stops it: `onOver` is not called any more
   */
  follow(model: string, id: string, adding: Promise<unknown>, onOver: (over: Over) => void): () => void;
  /** What was learnt elsewhere. */
  over(over: Over): void;
  close(): void;
}

export async function createFollower(queue: FleetQueue): Promise<Follower> {
  interface Followed {
    readonly model: string;
    readonly onOver: Set<(over: Over) => void>;
    isThere: boolean;
  }
  const followed = new Map<string, Followed>();
  const end = (over: Over): void => {
    const found = followed.get(over.id);
    followed.delete(over.id);
    for (const tell of found?.onOver ?? []) tell(over);
  };
  const deaf = await queue.channels.on(CHANNELS.over, message => {
    const over = overSchema.safeParse(heard(message));
    if (over.success) end(over.data);
  });
  let isLooking = false;
  async function look(): Promise<void> {
    if (isLooking) return;
    isLooking = true;
    try {
      for (const [id, { model, isThere }] of followed) {
        if (!isThere) continue;
        const state = await queue.state(model, id);
        if (state === 'completed') end({ id, state });
        if (state !== 'failed' && state !== 'unknown') continue;
        const fault = state === 'failed' ? await queue.fault(model, id) : REMOVED;
        end({ id, state: fault?.code === 'cancelled' ? 'cancelled' : 'failed', fault });
      }
    } finally {
      isLooking = false;
    }
  }
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MS);
  return {
    follow(model, id, adding, onOver) {
      const found = followed.get(id) ?? { model, onOver: new Set(), isThere: false };
      followed.set(id, found);
      const tell = (over: Over): void => onOver(over);
      found.onOver.add(tell);
      // One that cannot be added is told by who adds it.
      const added = (): void => {
        found.isThere = true;
      };
      adding.then(added, () => {});
      // Others may follow the same job.
      return () => {
        found.onOver.delete(tell);
        if (found.onOver.size === 0 && followed.get(id) === found) followed.delete(id);
      };
    },
    over: end,
    close() {
      clearInterval(timer);
      deaf();
    },
  };
}

const REMOVED = { code: 'cancelled', message: 'The job was removed from the queue.' };

/** What is told of a job while it is drawn. */
export const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('step'), done: z.int(), total: z.int(), forwards: z.number(), cacheBytes: z.number() }),
  z.object({
    type: z.literal('preview'),
    index: z.int(),
    bytes: z.base64().transform(text => new Uint8Array(Buffer.from(text, 'base64'))),
    width: z.int(),
    height: z.int(),
  }),
]);
