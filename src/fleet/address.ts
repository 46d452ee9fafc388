import { UsageError } from '../errors';

/** Where the Redis of a queue is. */
export interface QueueAddress {
  /** With the password, for the client alone. */
  readonly url: string;
  /** Without it, for people and logs. */
  readonly shown: string;
}

/** @throws UsageError unless it is one of Redis; the password is not told */
export function queueAddress(text: string): QueueAddress {
  const url = parsed(text);
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '' || !/^(\/\d{0,4})?$/.test(url.pathname)) {
    throw new UsageError('The queue is not at an address of Redis.', {
      hint: 'Give one such as redis://localhost:6379 or rediss://user:password@host:6380/0.',
    });
  }
  return { url: text, shown: `${url.protocol}//${url.host}${url.pathname}` };
}

function parsed(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
