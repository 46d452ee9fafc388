import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import { Refusal } from '../jobs/faults';
import type { Job } from '../jobs/job';
import type { Ticket } from '../jobs/ticket';
import { resultFacts, seconds } from './answers';
import { readBody } from './body';
import { type App, type Env, fileUrl, type Services } from './context';
import { early } from './early';
import { jobFault } from './errors';
import { imageStream } from './image-stream';
import { editOrder, imageOrder, type Ordered } from './orders';
import { type EditBody, editBody, type ImageBody, imageBody } from './schemas';
import { submissionOf } from './submission';

/** `POST /v1/images/generations` and `/v1/images/edits`: pictures, while the client waits. */
export function imageRoutes(app: App, services: Services): void {
  const { settings } = services;

  app.post('/v1/images/generations', async c => {
    const body = await readBody(c, imageBody, services);
    return answered(c, body, imageOrder(services, body));
  });

  app.post('/v1/images/edits', async c => {
    const body = await readBody(c, editBody, services);
    const bytes = new Uint8Array(await body.image.arrayBuffer());
    if (bytes.length === 0) throw new Refusal(400, 'invalid_value', 'The image is empty.', { param: 'image' });
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return answered(c, body, editOrder(services, body, sha256), bytes);
  });

  async function answered(
    c: Context<Env>,
    body: ImageBody | EditBody,
    ordered: Ordered,
    picture?: Uint8Array,
  ): Promise<Response> {
    const isKept = body.response_format === 'url';
    const ticket = await services.desk.submit({
      ...submissionOf(c, ordered, services),
      kind: 'image',
      picture,
      isKept,
      isDetached: false,
    });
    const { signal } = c.req.raw;
    if (signal.aborted) ticket.letGo();
    signal.addEventListener('abort', ticket.letGo, { once: true });
    c.header('x-ertacache-joined', String(ticket.hasJoined));
    if (body.stream) return imageStream(c, ticket, ordered.order, settings);
    const finished = ticket.done.finally(ticket.letGo);
    return early(c, settings, async () => {
      const job = await finished;
      if (job.status !== 'completed') return jobFault(job);
      return { status: 200, body: await imagesAnswer(job, ticket, isKept ? fileUrl(services, c.req.url) : undefined) };
    });
  }
}

async function imagesAnswer(job: Job, ticket: Ticket, url: ReturnType<typeof fileUrl> | undefined) {
  const files = url ? [] : await ticket.files();
  return {
    created: seconds(job.created),
    model: job.order.request.model,
    output_format: job.order.output.format,
    data: job.results.map((result, i) => ({
      ...(url ? { url: url(job, result.name) } : { b64_json: Buffer.from(files[i] as Uint8Array).toString('base64') }),
      ...resultFacts(result),
    })),
  };
}
