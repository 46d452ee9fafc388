import { z } from 'zod';
import { heard } from './channels';
import { KEYS } from './names';
import type { FleetQueue } from './queue';

const factsSchema = z.object({
  host: z.string(),
  pid: z.int(),
  version: z.string(),
  /** Jobs that it draws at a time. */
  places: z.int(),
  models: z.array(z.string()),
  /** Models in memory. */
  held: z.array(z.string()),
  running: z.int(),
  /** Since it was started. */
  drawn: z.int(),
  /** Why it takes no job. */
  fault: z.string().optional(),
});

/** What a worker says of itself. */
export type WorkerFacts = z.infer<typeof factsSchema>;

/** The workers that live; those that have said nothing for a while are forgotten. */
export async function workersOf({ redis }: Pick<FleetQueue, 'redis'>): Promise<WorkerFacts[]> {
  const now = Date.now();
  const dead = await redis.zrangebyscore(KEYS.workers, 0, now);
  if (dead.length > 0) {
    await redis
      .multi()
      .zrem(KEYS.workers, ...dead)
      .hdel(KEYS.workerFacts, ...dead)
      .exec();
  }
  const ids = await redis.zrangebyscore(KEYS.workers, now, '+inf');
  if (ids.length === 0) return [];
  const told = await redis.hmget(KEYS.workerFacts, ...ids);
  return told.flatMap(text => factsSchema.safeParse(heard(text ?? '')).data ?? []);
}
