import { UsageError } from '../../errors';
import { own } from '../names';
import { bufferOf, type Redis } from '../redis';
import type { FileStore } from './store';

/** Memory is dear: files are kept so long, in seconds, and are no larger. */
const KEEP_S = 24 * 3600;
const MOST_BYTES = 64e6;

/** Small files in the queue's own Redis, for a day: machines then share nothing else. */
export function redisStore(redis: Redis): FileStore {
  const key = (name: string): string => own('file', name);
  return {
    shown: 'redis',
    get: async name => (await redis.getBuffer(key(name))) ?? undefined,
    async put(name, bytes) {
      if (bytes.length > MOST_BYTES) {
        throw new UsageError(`A file of ${Math.ceil(bytes.length / 1e6)} MB is too large for Redis.`, {
          hint: 'Give the workers a shared folder or a bucket: --store /mnt/pictures or --store s3://bucket.',
        });
      }
      await redis.set(key(name), bufferOf(bytes), 'EX', KEEP_S);
    },
    has: async name => (await redis.exists(key(name))) === 1,
    remove: async name => void (await redis.unlink(key(name))),
  };
}
