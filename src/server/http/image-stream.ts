import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { JobEvent } from '../jobs/live';
import type { Order } from '../jobs/order';
import type { Ticket } from '../jobs/ticket';
import { resultFacts, seconds } from './answers';
import type { Env, HttpSettings } from './context';
import { endsLater } from './ended';
import { jobFault } from './errors';

/** Pictures as server-sent events: previews as they come, each picture when it is finished, and `[DONE]`. */
export function imageStream(c: Context<Env>, ticket: Ticket, order: Order, { signMs }: HttpSettings): Response {
  const end = endsLater(c);
  return streamSSE(c, async stream => {
    stream.onAbort(() => {
      ticket.letGo();
      end();
    });
    const facts = {
      created_at: seconds(ticket.job().created),
      output_format: order.output.format,
      background: 'opaque',
      quality: 'auto',
    };
    const kind = order.picture === undefined ? 'image_generation' : 'image_edit';
    async function write(what: 'partial_image' | 'completed', data: object): Promise<void> {
      const type = `${kind}.${what}`;
      await stream.writeSSE({ event: type, data: JSON.stringify({ type, ...facts, ...data }) });
    }
    // Comments, which clients pass over, keep what is between from giving up.
    const sign = setInterval(() => void stream.write(': still at it\n\n'), signMs);
    let told = stream.write(': drawing\n\n').then(() => {});
    const stop = ticket.listen(heard => {
      told = told.then(() => tell(heard));
    });
    async function tell({ piece, event }: JobEvent): Promise<void> {
      if (event.type === 'preview') {
        await write('partial_image', {
          b64_json: base64(event.bytes),
          partial_image_index: event.index,
          image_index: piece,
          size: `${event.width}x${event.height}`,
        });
      } else if (event.type === 'finished') {
        const { seed, ...facts } = resultFacts(event.result);
        await write('completed', {
          b64_json: base64(event.bytes),
          image_index: piece,
          seed,
          ...facts,
          usage: NO_TOKENS,
        });
      }
    }
    try {
      const job = await ticket.done;
      await told;
      if (job.status !== 'completed') {
        const { body } = jobFault(job);
        await stream.writeSSE({ event: 'error', data: JSON.stringify({ type: 'error', ...body }) });
      }
      await stream.writeSSE({ data: '[DONE]' });
    } finally {
      clearInterval(sign);
      stop();
      ticket.letGo();
      end();
    }
  });
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** Nothing here is counted in tokens; clients look for the numbers. */
const NO_TOKENS = {
  input_tokens: 0,
  output_tokens: 0,
  total_tokens: 0,
  input_tokens_details: { image_tokens: 0, text_tokens: 0 },
} as const;
