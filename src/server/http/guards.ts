/*
 * Who is let in. Each is one middleware.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { Refusal } from '../jobs/faults';
import { fingerprint } from '../jobs/keys';
import type { Env, HttpSettings } from './context';

type Guard = MiddlewareHandler<Env>;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/**
 * Refuses requests that name this machine otherwise than as itself: a page elsewhere can make its own name lead here, and
 * would then be answered as if it were here.
 */
export const loopbackOnly: Guard = async (c, next) => {
  const host = c.req.header('host');
  if (host !== undefined && !LOOPBACK.test(host)) {
    throw new Refusal(403, 'wrong_host', 'This server answers to localhost alone.');
  }
  await next();
};

/** Whether this is the origin of pages, as browsers send it: without a path. */
export const isOrigin = (text: string): boolean => /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@]+$/i.test(text);

/** Requests of pages in browsers: of this server's own, and of those that are allowed. */
export function originGuard({ origins, publicUrl }: HttpSettings): Guard {
  const all = origins.includes('*');
  const allowed = cors({
    origin: origin => (all || origins.includes(origin) ? origin : null),
    allowMethods: ['GET', 'POST', 'DELETE'],
    // The headers that a page asks for are allowed: the official clients send a dozen of their own.
    exposeHeaders: ['x-request-id', 'retry-after', 'content-range', 'x-ertacache-joined'],
    maxAge: 600,
  });
  return async (c, next) => {
    const origin = c.req.header('origin');
    if (origin === undefined) return next();
    const own = [`http://${c.req.header('host')}`, `https://${c.req.header('host')}`];
    if (publicUrl !== undefined) own.push(new URL(publicUrl).origin);
    if (own.includes(origin)) return next();
    if (!all && !origins.includes(origin)) {
      throw new Refusal(403, 'origin_not_allowed', 'Pages of this origin may not ask here.');
    }
    return allowed(c, next);
  };
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Keys as they are held in memory and compared. */
export const hashedKeys = (keys: readonly string[]): Buffer[] => keys.map(sha256);

const AGAIN_S = 5;

/** Nobody is let wait for a queue that may not come back. */
export function awayGuard(isAway: () => boolean): Guard {
  return async (_, next) => {
    if (isAway()) {
      throw new Refusal(503, 'queue_away', 'The queue is away; ask again in a moment.', { retryAfter: AGAIN_S });
    }
    await next();
  };
}

/** Everybody, where there are no keys. */
const ANYBODY = 'anybody';

/** Requests with a key that is known; all of them are compared, so that time tells nothing. */
export function keyGuard({ keys }: HttpSettings): Guard {
  return async (c, next) => {
    if (keys.length === 0) {
      c.set('owner', ANYBODY);
      return next();
    }
    const [, key] = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
    const given = sha256(key ?? '');
    const matches = keys.map(known => timingSafeEqual(known, given));
    if (key === undefined || !matches.includes(true)) {
      c.header('www-authenticate', 'Bearer');
      throw new Refusal(
        401,
        'invalid_api_key',
        key === undefined ? 'An API key is needed: Authorization: Bearer KEY.' : 'The API key is not known here.',
      );
    }
    c.set('owner', fingerprint(key));
    await next();
  };
}

/** So many requests a minute for every key, and as many at once after a pause. */
export function rateGuard({ perMinute }: HttpSettings): Guard {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return async (c, next) => {
    if (perMinute === undefined) return next();
    const owner = c.get('owner');
    const now = Date.now();
    const { tokens, at } = buckets.get(owner) ?? { tokens: perMinute, at: now };
    const filled = Math.min(perMinute, tokens + ((now - at) / 60_000) * perMinute);
    const left = filled - 1;
    buckets.set(owner, { tokens: left < 0 ? filled : left, at: now });
    if (left < 0) {
      throw new Refusal(429, 'rate_limit', `This key may make ${perMinute} requests a minute.`, {
        retryAfter: Math.ceil((-left / perMinute) * 60),
      });
    }
    await next();
  };
}
