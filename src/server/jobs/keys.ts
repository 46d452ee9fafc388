import { createHash, randomBytes } from 'node:crypto';
import { canonicalJson } from '../../io/canonical-json';
import type { Order } from './order';

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

/** An id that nobody can guess. */
export const newId = (kind: string): string => `${kind}_${randomBytes(18).toString('base64url')}`;

/** What a job is called in the store, whatever its client calls it: no name from outside becomes one of a file. */
export const storeKey = (owner: string, id: string): string => hash(JSON.stringify([owner, id])).slice(0, 32);

/**
 * What equal orders share. A seed that the client has not chosen counts as none.
 * @param more what else makes orders different
 */
export function contentKey(order: Order, hasSeed: boolean, more: readonly unknown[]): string {
  const { seed, ...request } = order.request;
  return hash(canonicalJson([{ ...order, request }, hasSeed ? seed : null, more]));
}

/** A short name of a secret, which does not tell it. */
export const fingerprint = (secret: string): string => hash(secret).slice(0, 16);
