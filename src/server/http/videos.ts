import type { Context } from 'hono';
import { Refusal } from '../jobs/faults';
import type { Job } from '../jobs/job';
import { videoAnswer } from './answers';
import { readBody } from './body';
import { type App, type Env, fileUrl, type Services } from './context';
import { fileOf, jobOf } from './jobs';
import { page } from './listing';
import { videoOrder } from './orders';
import { videoBody } from './schemas';
import { submissionOf } from './submission';

/** `/v1/videos`: clips, which are drawn while nobody waits. */
export function videoRoutes(app: App, services: Services): void {
  const { desk, settings } = services;
  const answer = (c: Context<Env>, job: Job) =>
    videoAnswer(job, desk.progress(job), fileUrl(services, c.req.url), settings.keepMs);

  app.post('/v1/videos', async c => {
    const body = await readBody(c, videoBody, services);
    const ticket = await desk.submit({
      ...submissionOf(c, videoOrder(services, body), services),
      kind: 'video',
      isKept: true,
      isDetached: true,
    });
    ticket.letGo();
    return c.json(answer(c, ticket.job()));
  });

  app.get('/v1/videos', c => c.json(page(desk.list(c.get('owner'), 'video'), c.req.query(), job => answer(c, job))));
  app.get('/v1/videos/:id', c => c.json(answer(c, jobOf(services, c, 'video'))));
  app.get('/v1/videos/:id/content', async c => {
    const job = jobOf(services, c, 'video');
    const { variant = 'video' } = c.req.query();
    if (variant !== 'video') {
      const message = `No ${variant.slice(0, 64)} of a clip is kept, only the clip: omit the variant.`;
      throw new Refusal(400, 'unsupported', message, { param: 'variant' });
    }
    const [result] = job.results;
    if (!result) throw new Refusal(404, 'not_ready', `The video is ${job.status}; it has no content.`);
    return fileOf(services, c, job, result.name);
  });
  app.delete('/v1/videos/:id', async c => {
    const job = jobOf(services, c, 'video');
    await desk.remove(job);
    return c.json({ id: job.id, object: 'video.deleted', deleted: true });
  });
}
