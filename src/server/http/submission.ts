import type { Context } from 'hono';
import type { Submission } from '../jobs/desk';
import { Refusal } from '../jobs/faults';
import type { Env, Services } from './context';
import type { Ordered } from './orders';

/** What a request says of an order beside its body. */
export function submissionOf(
  c: Context<Env>,
  { order, hasSeed, user }: Ordered,
  { settings }: Services,
): Pick<Submission, 'owner' | 'user' | 'order' | 'hasSeed' | 'idempotencyKey' | 'isRetry'> {
  const { model, steps } = order.request;
  Object.assign(c.get('notes'), { model, ...(steps && { steps }), count: order.count });
  if (settings.logPrompts) Object.assign(c.get('notes'), { prompt: order.request.prompt });
  const idempotencyKey = c.req.header('idempotency-key');
  if (idempotencyKey !== undefined && !/^[\x21-\x7e]{1,255}$/.test(idempotencyKey)) {
    throw new Refusal(400, 'invalid_value', 'The Idempotency-Key must have 1 to 255 printable characters.');
  }
  return {
    owner: c.get('owner'),
    user,
    order,
    hasSeed,
    idempotencyKey,
    // What the official clients count.
    isRetry: Number(c.req.header('x-stainless-retry-count') ?? 0) > 0,
  };
}
