/*
 * What a queue needs and nothing else does: loaded when it is used, and installed by those who use it.
 */
import { UsageError } from '../errors';

async function installed<T>(names: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw cause;
    throw new UsageError(`A package that this needs is not installed: ${names}.`, {
      hint: `Install it beside ertacache: npm install ${names}`,
      cause,
    });
  }
}

export const bullmq = (): Promise<typeof import('bullmq')> => installed('bullmq ioredis', () => import('bullmq'));
export const ioredis = (): Promise<typeof import('ioredis')> => installed('bullmq ioredis', () => import('ioredis'));
export const aws4fetch = (): Promise<typeof import('aws4fetch')> => installed('aws4fetch', () => import('aws4fetch'));

/** BullMQ's page, and what it needs of Hono. */
export const bullBoard = () =>
  installed('@bull-board/api @bull-board/hono', async () => {
    const [{ createBullBoard }, { BullMQAdapter }, { HonoAdapter }, { serveStatic }] = await Promise.all([
      import('@bull-board/api'),
      import('@bull-board/api/bullMQAdapter'),
      import('@bull-board/hono'),
      import('@hono/node-server/serve-static'),
    ]);
    return { createBullBoard, BullMQAdapter, HonoAdapter, serveStatic };
  });
