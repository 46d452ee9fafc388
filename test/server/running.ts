import { join } from 'node:path';
import { type Listening, listen } from '../../src/server/listen';
import type { ServerOptions } from '../../src/server/options';
import { makeServer, type PictureServer } from '../../src/server/server';
import { usableBackends } from '../support/backends';

export const WORKER = join(__dirname, '../support/draw-worker.cjs');

/** A server from its sources, which listens. */
export interface Running extends Listening {
  readonly server: PictureServer;
  /** Asks for a path. */
  get(path: string, init?: RequestInit): Promise<Response>;
  /** Sends JSON. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  end(): Promise<void>;
}

/** Starts a server whose workers draw on a backend that is usable here. */
export async function start(options: ServerOptions = {}): Promise<Running> {
  const [backend] = usableBackends();
  const server = await makeServer({ backend, threads: 1, logLevel: 'silent', ...options }, WORKER);
  const listening = await listen(server, { host: '127.0.0.1', port: 0 });
  const get: Running['get'] = (path, init) => fetch(`${listening.url}${path}`, init);
  return {
    ...listening,
    server,
    get,
    post: (path, body, headers) =>
      get(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    async end() {
      await server.close(0);
      await listening.close();
    },
  };
}

/** The value of a figure of `/metrics`, summed over its labels. */
export async function figure({ get }: Pick<Running, 'get'>, name: string, labels = ''): Promise<number> {
  const text = await (await get('/metrics')).text();
  return text
    .split('\n')
    .filter(line => line.startsWith(name) && /[ {]/.test(line[name.length] ?? '') && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
