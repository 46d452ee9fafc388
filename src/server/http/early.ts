import { setImmediate as nextTurn } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { RefusalStatus } from '../jobs/faults';
import type { Env, HttpSettings } from './context';
import { endsLater } from './ended';

/** An answer of JSON. */
interface Answer {
  readonly status: 200 | RefusalStatus;
  readonly body: unknown;
}

/**
 * Answers with JSON. Where that takes long, the head of the answer goes out before it is known how it will end, and blanks,
 * which JSON may begin with, follow: a client that gives up on silence stays. If it then fails, the error is written and
 * the answer broken off, so that no client takes it for what it asked for.
 */
export async function early(
  c: Context<Env>,
  { headersAfterMs, signMs }: Pick<HttpSettings, 'headersAfterMs' | 'signMs'>,
  work: () => Promise<Answer>,
): Promise<Response> {
  const answer = work();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), headersAfterMs);
  });
  const soon = await Promise.race([answer, late]).finally(() => clearTimeout(timer));
  if (soon) return c.json(soon.body, soon.status);

  const text = new TextEncoder();
  let sign: NodeJS.Timeout | undefined;
  const end = endsLater(c);
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(text.encode(' '));
      sign = setInterval(() => controller.enqueue(text.encode(' ')), signMs);
      try {
        const { status, body } = await answer;
        controller.enqueue(text.encode(JSON.stringify(body)));
        if (status === 200) controller.close();
        else await breakOff(c, controller);
      } catch (error) {
        controller.error(error);
      } finally {
        clearInterval(sign);
        end();
      }
    },
    cancel() {
      clearInterval(sign);
      end();
    },
  });
  return c.body(stream, 200, { 'content-type': 'application/json' });
}

/** Ends an answer so that its client sees that it is not whole. */
async function breakOff(c: Context, controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
  const { outgoing } = (c.env ?? {}) as Partial<HttpBindings>;
  if (!outgoing?.socket) {
    controller.error(new Error('The answer had begun when the work failed.'));
    return;
  }
  // An error of the stream is printed by the adapter, with its stack. What was written goes out first.
  await nextTurn();
  outgoing.socket.destroySoon();
}
