import { readFile } from 'node:fs/promises';
import type { Redis } from 'ioredis';
import { IoError, UsageError } from '../errors';
import type { Log } from '../server/log';
import type { QueueAddress } from './address';
import { ioredis } from './packages';

export type { Redis } from 'ioredis';

/** How a queue's Redis is reached. */
export interface RedisOptions {
  readonly address: QueueAddress;
  /** File of the certificates that a server of one's own is known by. */
  readonly ca?: string | undefined;
  readonly log?: Log | undefined;
}

/** So long a first answer is waited for, in milliseconds. Later on, a Redis that is gone is waited for without end. */
const FIRST_MS = 5000;
const LONGEST_WAIT_MS = 2000;
/** So long the end of a connection is waited for; where Redis is gone it never comes, and nothing ends before. */
const LAST_WAIT_MS = 500;

/**
 * A connection that comes back after Redis was started again.
 * @throws IoError where there is no Redis, UsageError for one that would lose jobs
 */
export async function connectRedis({ address, ca, log }: RedisOptions): Promise<Redis> {
  const { Redis: Client } = await ioredis();
  const redis = new Client(address.url, {
    lazyConnect: true,
    connectTimeout: FIRST_MS,
    disconnectTimeout: LAST_WAIT_MS,
    // Commands wait until Redis is there again.
    maxRetriesPerRequest: null,
    retryStrategy: times => Math.min(LONGEST_WAIT_MS, 50 * times),
    ...(ca !== undefined && { tls: { ca: await readFile(ca) } }),
  });
  watchOutages(redis, address, log);
  let heard: unknown;
  redis.on('error', error => {
    heard = error;
  });
  try {
    await withinTime(redis.connect(), FIRST_MS);
    // The client itself would go on in database 0.
    await redis.select(redis.options.db ?? 0);
    requireLasting(await redis.info(), address);
  } catch (error) {
    redis.disconnect();
    throw told(error instanceof UsageError ? error : (heard ?? error), address);
  }
  return redis;
}

/** The same bytes, as a command takes them. */
export const bufferOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** A second connection of the same kind. */
export function anotherConnection(redis: Redis, { address, log }: RedisOptions): Redis {
  const other = redis.duplicate();
  watchOutages(other, address, log);
  return other;
}

/** Says once that Redis is gone, and once that it is back. */
function watchOutages(redis: Redis, { shown }: QueueAddress, log?: Log): void {
  let isGone = false;
  let wasThere = false;
  redis.on('error', error => {
    if (wasThere && !isGone) log?.warn({ queue: shown, error: error.message }, 'Redis is gone');
    isGone = true;
  });
  redis.on('ready', () => {
    if (wasThere && isGone) log?.info({ queue: shown }, 'Redis is back');
    [isGone, wasThere] = [false, true];
  });
}

/** @throws UsageError for a Redis that throws keys away when memory is short, or is too old */
function requireLasting(info: string, { shown }: QueueAddress): void {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    throw new UsageError(
      `Redis at ${shown} would lose jobs when its memory is full: its eviction policy is ${policy}.`,
      {
        hint: 'Set maxmemory-policy noeviction in redis.conf, or: redis-cli config set maxmemory-policy noeviction',
      },
    );
  }
  const version = /^redis_version:(\d+)\.(\d+)/m.exec(info);
  if (version && Number(version[1]) * 100 + Number(version[2]) < 602) {
    throw new UsageError(`Redis at ${shown} is of version ${version[1]}.${version[2]}.`, {
      hint: 'Take 6.2 or later.',
    });
  }
}

function told(error: unknown, { shown }: QueueAddress): unknown {
  if (error instanceof UsageError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (/NOAUTH|WRONGPASS|NOPERM|invalid password/i.test(text)) {
    return new UsageError(`Redis at ${shown} does not let us in: the password is missing or wrong.`, {
      hint: 'Write it into the address: redis://user:password@host:6379, best in the variable ERTACACHE_QUEUE.',
    });
  }
  if (/DB index is out of range/i.test(text)) {
    return new UsageError(`Redis at ${shown} has no database of that number.`, {
      hint: 'End the address with one that it has, such as /0; its setting databases says how many there are.',
    });
  }
  return new IoError(`Redis at ${shown} cannot be reached: ${text}`, {
    hint: 'Start it (redis-server), or give another address as --queue.',
    cause: error,
  });
}

async function withinTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`there was no answer in ${ms / 1000} seconds.`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
