import pino from 'pino';
import type { Catalog } from '../../src/server/catalog';
import { readCatalog } from '../../src/server/catalog';
import { diskStore } from '../../src/server/jobs/disk-store';
import { memoryStore } from '../../src/server/jobs/memory-store';
import type { ServerOptions } from '../../src/server/options';
import { httpSettings, type PictureServer, serverOf } from '../../src/server/server';
import { type FakeRunner, fakeRunner } from './fake-runner';

let catalog: Promise<Catalog> | undefined;

/** A server whose pictures are drawn as a test says. */
export interface DeskServer extends PictureServer {
  readonly runner: FakeRunner;
  get(path: string, init?: RequestInit): Promise<Response>;
  post(path: string, body?: unknown, init?: RequestInit): Promise<Response>;
}

/** @param folder where jobs are kept; in memory unless given */
export async function deskServer(
  options: ServerOptions & { readonly folder?: string } = {},
  runner: FakeRunner = fakeRunner(),
): Promise<DeskServer> {
  catalog ??= readCatalog([]);
  const { folder, keepMs = 60_000, maxDisk = 1e9 } = options;
  const log = pino({ level: 'silent' });
  const server = await serverOf(options, {
    log,
    catalog: await catalog,
    store: folder === undefined ? memoryStore() : await diskStore(folder, () => {}),
    runner,
    settings: httpSettings(options, keepMs),
    retention: { keepMs, mostBytes: maxDisk },
  });
  const get: DeskServer['get'] = (path, init) => server.fetch(new Request(`http://localhost:8080${path}`, init));
  return {
    ...server,
    runner,
    get,
    post: (path, body = {}, init = {}) =>
      get(path, {
        method: 'POST',
        body: JSON.stringify(body),
        ...init,
        headers: { 'content-type': 'application/json', ...init.headers },
      }),
  };
}
