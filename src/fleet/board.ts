import { createHash, timingSafeEqual } from 'node:crypto';
import type { Hono } from 'hono';
import { bullBoard } from './packages';
import type { FleetQueue } from './queue';

/** BullMQ's own page of its queues. */
export interface Board {
  /** Answers at the path of the page and below it. */
  fetch(request: Request): Promise<Response>;
}

export interface BoardOptions {
  /** Path that it is at. */
  readonly path: string;
  /** Keys that are let in, as the password of any user; everybody where there are none. */
  readonly keys: readonly string[];
}

/** How often it is looked for queues of further models, in milliseconds. */
const LOOK_MS = 5000;

/** @throws UsageError where the page's package is not installed */
export async function createBoard(queue: FleetQueue, { path, keys }: BoardOptions): Promise<Board & { close(): void }> {
  const { createBullBoard, BullMQAdapter, HonoAdapter, serveStatic } = await bullBoard();
  const adapter = new HonoAdapter(serveStatic);
  adapter.setBasePath(path);
  const { replaceQueues } = createBullBoard({ queues: [], serverAdapter: adapter });
  const look = async (): Promise<void> => replaceQueues((await queue.queues()).map(each => new BullMQAdapter(each)));
  await look();
  const timer = setInterval(() => void look().catch(() => {}), LOOK_MS);
  const { Hono: App } = await import('hono');
  const app: Hono = new App();
  app.route(path, adapter.registerPlugin());
  const hashed = keys.map(hash);
  return {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (hashed.length > 0 && !isLetIn(request, hashed)) {
        const headers = { 'www-authenticate': 'Basic realm="ertacache queue", charset="UTF-8"' };
        return new Response('A key is needed: any user, an API key as the password.', { status: 401, headers });
      }
      // With a slash at the end its router knows it not.
      const asked = pathname === `${path}/` ? new Request(new URL(path, request.url), request) : request;
      return app.fetch(asked);
    },
    close: () => clearInterval(timer),
  };
}

const hash = (text: string): Buffer => createHash('sha256').update(text).digest();

function isLetIn(request: Request, keys: readonly Buffer[]): boolean {
  const [, encoded = ''] = /^Basic +(\S+)$/i.exec(request.headers.get('authorization') ?? '') ?? [];
  const given = hash(
    Buffer.from(encoded, 'base64')
      .toString('utf8')
      .replace(/^[^:]*:/, ''),
  );
  return keys.map(key => timingSafeEqual(key, given)).includes(true);
}
