import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { IoError, UsageError } from '../../errors';
import { requireWritableFolder } from '../../io/writable';
import { KEYS } from '../names';
import type { Redis } from '../redis';
import { folderStore } from './folder';
import { redisStore } from './redis-store';
import { s3Store } from './s3';
import type { FileStore } from './store';

/** Tells what a folder or a bucket is, and of which queue. */
const MARK = 'ertacache-store.json';

/** After this time another process may mark a store; how often it is looked for the mark. In milliseconds. */
const MARKING_MS = 30_000;
const AGAIN_MS = 50;

/**
 * The store that a queue's pictures are kept in. The first one that is opened with a queue stays its store.
 * @param place `redis`, a folder, or `s3://bucket/prefix`
 * @throws UsageError for another one than that of the queue
 */
export async function openStore(place: string, redis: Redis): Promise<FileStore> {
  // Whoever looks at no picture need not know where they are.
  if (place === 'any') return redisStore(redis);
  const store = await storeAt(place, redis);
  // Asked first: what is the store of a queue had its mark before.
  const earlier = await redis.get(KEYS.store);
  const known = place === 'redis' ? 'redis' : await markIn(store);
  // A place without a mark is another one, such as the folder of a share that is not mounted: nothing is written there.
  const mark = known ?? (earlier === null ? await markOf(store, redis) : undefined);
  const isFirst = mark !== undefined && (await redis.set(KEYS.store, mark, 'NX')) !== null;
  const kept = isFirst ? mark : ((await redis.get(KEYS.store)) ?? mark);
  if (mark !== undefined && kept === mark) return place === 'redis' ? store : marked(store, mark);
  throw new UsageError(`The pictures of this queue are not kept in ${store.shown}, but elsewhere.`, {
    hint:
      kept === 'redis'
        ? 'They are kept in Redis: omit --store. To keep them elsewhere, first: ertacache queue drain --forget-store'
        : 'Give the same --store to workers, submit and serve. To change it, first: ertacache queue drain --forget-store',
  });
}

async function storeAt(place: string, redis: Redis): Promise<FileStore> {
  if (place === 'redis') return redisStore(redis);
  if (place.startsWith('s3://')) return s3Store(place);
  await requireWritableFolder(place);
  return folderStore(resolve(place));
}

/** The same store, which keeps nothing where its mark is not: a share may be unmounted while it is used. */
function marked(store: FileStore, mark: string): FileStore {
  const requireMark = async (): Promise<void> => {
    if ((await markIn(store)) === mark) return;
    throw new IoError(`${store.shown} is no longer the store of this queue: its ${MARK} is gone, or is another one.`, {
      hint: 'Mount the folder again that the queue was first used with, or put the file back.',
    });
  };
  return {
    ...store,
    requireMark,
    async put(name, bytes) {
      await requireMark();
      await store.put(name, bytes);
    },
  };
}

async function markIn(store: FileStore): Promise<string | undefined> {
  const found = await store.get(MARK);
  return found && Buffer.from(found).toString('utf8').trim();
}

/** What the place is known by; a new one gets a mark, from one of those who open it at the same time. */
async function markOf(store: FileStore, redis: Redis): Promise<string> {
  for (;;) {
    const mark = await markIn(store);
    if (mark !== undefined) return mark;
    if ((await redis.set(KEYS.marking, '1', 'PX', MARKING_MS, 'NX')) !== null) break;
    await wait(AGAIN_MS);
  }
  try {
    // It may have been marked since it was looked at.
    const others = await markIn(store);
    if (others !== undefined) return others;
    const mark = JSON.stringify({ format: 'ertacache-store', id: randomUUID() });
    await store.put(MARK, Buffer.from(`${mark}\n`));
    return mark;
  } finally {
    await redis.unlink(KEYS.marking);
  }
}
