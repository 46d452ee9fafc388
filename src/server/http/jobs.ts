import type { Context } from 'hono';
import { Refusal } from '../jobs/faults';
import type { Job } from '../jobs/job';
import { fileAnswer, jobAnswer } from './answers';
import { readBody } from './body';
import { type App, type Env, fileUrl, type Services } from './context';
import { page } from './listing';
import { jobOrder } from './orders';
import { jobBody } from './schemas';
import { submissionOf } from './submission';

/** `/v1/jobs`: pictures and clips that are drawn while nobody waits; `/v1/files`: what became of them. */
export function jobRoutes(app: App, services: Services): void {
  const { desk, settings } = services;
  const answer = (c: Context<Env>, job: Job) =>
    jobAnswer(job, desk.progress(job), fileUrl(services, c.req.url), settings.keepMs);

  app.post('/v1/jobs', async c => {
    const body = await readBody(c, jobBody, services);
    const ordered = jobOrder(services, body);
    const ticket = await desk.submit({
      ...submissionOf(c, ordered, services),
      kind: ordered.model.kind === 'clip' ? 'video' : 'image',
      isKept: true,
      isDetached: true,
      id: body.id ?? undefined,
    });
    ticket.letGo();
    return c.json(answer(c, ticket.job()), ticket.hasJoined ? 200 : 202);
  });

  app.get('/v1/jobs', c => c.json(page(desk.list(c.get('owner')), c.req.query(), job => answer(c, job))));
  app.get('/v1/jobs/:id', c => c.json(answer(c, jobOf(services, c))));
  app.post('/v1/jobs/:id/cancel', async c => c.json(answer(c, await desk.cancel(jobOf(services, c)))));
  app.delete('/v1/jobs/:id', async c => {
    const job = jobOf(services, c);
    await desk.remove(job);
    return c.json({ id: job.id, object: 'job.deleted', deleted: true });
  });

  app.get('/v1/files/:token/:name', async c => {
    const job = desk.byToken(c.req.param('token'));
    const name = c.req.param('name');
    return fileOf(services, c, job, name);
  });
}

/** A kept file of a job, by a name that the job itself lists. */
export async function fileOf({ desk }: Services, c: Context, job: Job | undefined, name: string): Promise<Response> {
  const known = job?.results.some(result => result.name === name);
  const bytes = job && known ? await desk.file(job, name) : undefined;
  if (!bytes) throw new Refusal(404, 'file_not_found', 'There is no such file, or it is no longer kept.');
  return fileAnswer(c, name, bytes);
}

/** The job that a path names, of the one who asks. */
export function jobOf({ desk }: Services, c: Context<Env>, kind?: Job['kind']): Job {
  const job = desk.find(c.get('owner'), c.req.param('id') ?? '');
  if (job && (kind === undefined || job.kind === kind)) return job;
  throw new Refusal(404, 'not_found', `There is no such ${kind ?? 'job'}, or it is no longer kept.`);
}
