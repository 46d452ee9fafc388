import { availableParallelism } from 'node:os';
import { basename, join, resolve } from 'node:path';
import pino from 'pino';
import { UsageError } from '../errors';
import { requireObject, wrongArgument } from '../io/arguments';
import { MOST } from '../io/counts';
import { disk } from '../io/fs';
import { given } from '../io/given';
import { LOCK_FILE, withLock } from '../io/lock';
import { requireWritableFolder } from '../io/writable';
import { usualThreads } from '../pipelines/usual-threads';
import { readPolicy } from '../policy/file';
import { type Catalog, readCatalog } from './catalog';
import { createApp } from './http/app';
import type { HttpSettings, Page } from './http/context';
import { hashedKeys, isOrigin } from './http/guards';
import { createDesk, type Desk } from './jobs/desk';
import { diskStore } from './jobs/disk-store';
import { memoryStore } from './jobs/memory-store';
import { keptBytes, sweep, sweepInTurns } from './jobs/retention';
import type { Runner } from './jobs/runner';
import type { JobStore } from './jobs/store';
import { type Limits, USUAL_LIMITS } from './limits';
import type { Log } from './log';
import { createMetrics } from './metrics';
import { MOST_TOGETHER, type ServerOptions, USUAL } from './options';
import { processPool } from './workers/pool';
import { usualTogether } from './workers/together';

/** A server that draws. */
export interface PictureServer {
  /**
   * Answers a request: the standard handler that Hono, Next and adapters for Express take.
   * @param request the request
   * @param bindings what an adapter gives beside it; with that of `@hono/node-server`, answers that fail when they have
   *   begun are broken off without a word on the console
   * @returns the answer
   */
  fetch(request: Request, bindings?: object): Promise<Response>;
  /**
   * Waits until something can be drawn.
   * @throws EngineError when nothing ever will be
   */
  ready(): Promise<void>;
  /**
   * Refuses new work, lets what is running come to its end, and ends the workers. Accepted jobs that are not finished
   * stay in the data folder, and the next server goes on with them.
   * @param graceMs how long running work is waited for, in milliseconds; 30 seconds by default
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Makes a server of pictures and clips, with processes of its own that draw. It listens to nothing by itself: give its
 * `fetch` to a framework, or use `ertacache serve`.
 * @param options models, limits, keys, and where jobs are kept
 * @returns the server; close it when done
 * @throws ErtaError for a model, a policy or a folder that cannot be used
 * @example
 * const server = await createServer({ workers: 2 });
 * const response = await server.fetch(new Request('http://localhost/v1/models'));
 */
export function createServer(options: ServerOptions = {}): Promise<PictureServer> {
  return makeServer(options);
}

/** The same. @param script that of the workers, where it is not the built one */
export async function makeServer(options: ServerOptions, script?: string): Promise<PictureServer> {
  requireOptions(options);
  const log = pino({ level: options.logLevel ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const catalog = await readCatalog(options.models ?? []);
  const policies = await namedPolicies(options.policies ?? []);
  const { data } = options;
  if (data === undefined) return assemble(options, { log, catalog, policies, script, store: memoryStore() });
  await requireWritableFolder(data);
  await disk.mkdir(resolve(data));
  return lockedIn(data, async () => {
    const store = await diskStore(resolve(data), message => log.warn(message));
    return assemble(options, { log, catalog, policies, script, store });
  });
}

/** Numbers of the options: the least that each may be, and the most. */
const BOUNDS = {
  threads: [1, MOST.threads],
  workers: [1, MOST.threads],
  modelsInMemory: [1, MOST.pictures],
  maxBatch: [1, MOST_TOGETHER],
  maxQueue: [0, MOST.pictures],
  perMinute: [1, 1_000_000],
  keepMs: [0, Number.MAX_SAFE_INTEGER],
  maxDisk: [0, Number.MAX_SAFE_INTEGER],
  // What timers take.
  headersAfterMs: [0, 2 ** 31 - 1],
  joinMs: [0, 2 ** 31 - 1],
} as const satisfies Partial<Record<keyof ServerOptions, readonly [number, number]>>;

/** The same of the limits. */
const LIMIT_BOUNDS: Readonly<Record<keyof Limits, readonly [number, number]>> = {
  jsonBytes: [1, Number.MAX_SAFE_INTEGER],
  uploadBytes: [1, Number.MAX_SAFE_INTEGER],
  steps: [1, MOST.steps],
  pixels: [1, Number.MAX_SAFE_INTEGER],
};

/** @throws UsageError for what no server can be made with */
function requireOptions(options: ServerOptions): void {
  requireObject('options', options, 'an object');
  const { limits = {} } = options;
  requireObject('limits', limits, 'an object');
  for (const [name, bounds] of Object.entries(BOUNDS)) {
    requireBetween(name, options[name as keyof typeof BOUNDS], bounds);
  }
  for (const [name, bounds] of Object.entries(LIMIT_BOUNDS)) {
    requireBetween(`limits.${name}`, limits[name as keyof Limits], bounds);
  }
}

function requireBetween(name: string, value: number | undefined, [least, most]: readonly [number, number]): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) return;
  throw wrongArgument(name, value, `a whole number from ${least} to ${most}`);
}

/** Makes a server that holds the lock of its folder until it is closed. */
function lockedIn(data: string, make: () => Promise<PictureServer>): Promise<PictureServer> {
  return new Promise((resolveServer, reject) => {
    let unlock: () => void = () => {};
    const closed = new Promise<void>(done => {
      unlock = done;
    });
    const lock = withLock(join(resolve(data), LOCK_FILE), data, async () => {
      const server = await make();
      resolveServer({
        ...server,
        async close(graceMs) {
          await server.close(graceMs).finally(unlock);
          await lock;
        },
      });
      await closed;
    });
    lock.catch(reject);
  });
}

interface Found extends Pick<ServerParts, 'log' | 'catalog' | 'store'> {
  readonly policies: Readonly<Record<string, string>>;
  readonly script: string | undefined;
}

async function assemble(options: ServerOptions, found: Found): Promise<PictureServer> {
  const { log, catalog, policies, script, store } = found;
  const { workers = USUAL.workers, keepMs = USUAL.keepMs, maxDisk: mostBytes = USUAL.maxDisk } = options;
  const settings = httpSettings(options, keepMs);
  const { maxBatch } = options;
  const runner = processPool({
    count: workers,
    log,
    together: maxBatch === undefined ? await usualTogether(catalog) : () => maxBatch,
    script,
    begin: {
      type: 'begin',
      backend: options.backend ?? USUAL.backend,
      threads: options.threads ?? (await threadsFor(catalog, workers)),
      verbose: false,
      models: Object.fromEntries(catalog.models.map(({ id, path }) => [id, path])),
      publicNames: Object.fromEntries(catalog.models.map(({ id, publicName }) => [id, publicName])),
      policies,
      held: options.modelsInMemory ?? USUAL.modelsInMemory,
      first: catalog.models[0]?.id,
    },
  });
  const parts = { log, catalog, store, runner, settings, retention: { keepMs, mostBytes } };
  return serverOf(options, parts).catch(async error => {
    await runner.close();
    throw error;
  });
}

/** What a server is made of: those who draw and where jobs are kept may lie elsewhere. */
export interface ServerParts {
  readonly log: Log;
  readonly catalog: Catalog;
  readonly store: JobStore;
  readonly runner: Runner;
  readonly settings: HttpSettings;
  readonly retention: { readonly keepMs: number; readonly mostBytes: number };
  readonly page?: Page | undefined;
  readonly isAway?: (() => boolean) | undefined;
}

/** The server over its parts, which it closes. */
export async function serverOf(options: ServerOptions, parts: ServerParts): Promise<PictureServer> {
  const { log, catalog, store, runner, settings, retention, page, isAway } = parts;
  let counts: Desk['counts'] = () => ({ waiting: 0, running: 0 });
  const metrics = createMetrics(
    runner,
    () => counts(),
    () => keptBytes(store),
  );
  const { maxQueue: mostWaiting = USUAL.maxQueue, joinMs = USUAL.joinMs } = options;
  const desk = createDesk({ runner, store, log, metrics, mostWaiting, joinMs });
  ({ counts } = desk);
  await sweep(desk, store, retention);
  const stopSweeping = sweepInTurns(desk, store, retention, log);
  const found = await desk.recover();
  if (found > 0) log.info({ jobs: found }, 'unfinished jobs taken up');
  const limits = { ...USUAL_LIMITS, ...given(options.limits ?? {}) };
  const app = createApp({ catalog, desk, runner, metrics, log, limits, settings, page, isAway });
  return {
    fetch: async (request, bindings) => app.fetch(request, bindings),
    ready: () => runner.begun(),
    async close(graceMs = USUAL.graceMs) {
      stopSweeping();
      await desk.drain(graceMs);
      await runner.close();
      await store.close();
    },
  };
}

/** How requests are answered. @throws UsageError for addresses that are none */
export function httpSettings(options: ServerOptions, keepMs: number): HttpSettings {
  const { basePath = '', publicUrl, origins = [] } = options;
  if (basePath !== '' && !/^(\/[\w.~-]+)+$/.test(basePath)) {
    throw new UsageError(`The path ${basePath} cannot stand before others.`, { hint: 'Give one such as /pictures.' });
  }
  if (publicUrl !== undefined && !/^https?:$/.test(urlOf(publicUrl)?.protocol ?? '')) {
    throw new UsageError(`${publicUrl} is not an address of the web.`, {
      hint: 'Give one such as https://example.org.',
    });
  }
  const wrong = origins.find(origin => origin !== '*' && !isOrigin(origin));
  if (wrong !== undefined) {
    throw new UsageError(`${wrong} is not an origin of pages.`, {
      hint: 'Give one such as https://example.org, or *.',
    });
  }
  return {
    strict: options.strict ?? false,
    logPrompts: options.logPrompts ?? false,
    keys: hashedKeys(options.apiKeys ?? []),
    // As browsers write them.
    origins: origins.map(origin => origin.toLowerCase()),
    perMinute: options.perMinute,
    onlyLoopback: options.onlyLoopback ?? false,
    publicUrl,
    basePath,
    keepMs,
    headersAfterMs: options.headersAfterMs ?? USUAL.headersAfterMs,
    signMs: USUAL.signMs,
  };
}

function urlOf(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** Policies by the names that requests give. @throws PolicyError for what is none, UsageError for two of one name */
export async function namedPolicies(files: readonly string[]): Promise<Record<string, string>> {
  const named: Record<string, string> = {};
  for (const file of files) {
    await readPolicy(file);
    const name = basename(file, '.json');
    if (name === 'auto' || name === 'none' || Object.hasOwn(named, name)) {
      throw new UsageError(`The policy ${file} cannot be called "${name}" in a request.`, { hint: 'Rename the file.' });
    }
    named[name] = resolve(file);
  }
  return named;
}

/** One thread where every model is small, else the processor's, shared among the workers. */
export async function threadsFor({ models }: Catalog, workers: number): Promise<number | undefined> {
  const usual = await Promise.all(models.map(({ path }) => usualThreads(path)));
  if (usual.every(threads => threads === 1)) return 1;
  // WebAssembly has no more than eight.
  return workers === 1 ? undefined : Math.min(8, Math.max(1, Math.floor(availableParallelism() / workers)));
}
