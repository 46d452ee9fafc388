import pino from 'pino';
import { readCatalog } from '../server/catalog';
import { type ServerOptions, USUAL } from '../server/options';
import { httpSettings, type PictureServer, serverOf } from '../server/server';
import { queueAddress } from './address';
import { createBoard } from './board';
import { fleetJobStore } from './job-store';
import { hashesOf } from './model-hash';
import { policyHashes } from './policy-hashes';
import { openQueue } from './queue';
import { fleetRunner } from './runner';

/** A server whose pictures are drawn by the workers of a queue. */
export interface FleetServerOptions extends ServerOptions {
  /** Address of Redis. */
  readonly queue: string;
  readonly queueCa?: string | undefined;
  /** Where pictures are kept: `redis`, a folder, `s3://bucket/prefix`. */
  readonly store: string;
  /** Steps between two checkpoints. */
  readonly every: number;
}

/** The server; close it when done. @throws ErtaError for a queue, a store or a model that cannot be used */
export async function createFleetServer(options: FleetServerOptions): Promise<PictureServer> {
  const log = pino({ level: options.logLevel ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const catalog = await readCatalog(options.models ?? []);
  const { keepMs = USUAL.keepMs, maxDisk: mostBytes = USUAL.maxDisk, basePath = '' } = options;
  const settings = httpSettings(options, keepMs);
  const hashes = await hashesOf(catalog.models);
  const policies = await policyHashes(options.policies ?? []);
  const address = queueAddress(options.queue);
  const queue = await openQueue({ address, ca: options.queueCa, place: options.store, log });
  const ending: (() => unknown)[] = [() => queue.close()];
  const end = async (): Promise<void> => {
    for (const each of ending.splice(0).reverse()) await each();
  };
  try {
    const runner = await fleetRunner({ queue, hashes, policies, every: options.every });
    ending.push(() => runner.close());
    const board = await createBoard(queue, { path: `${basePath}/queue`, keys: options.apiKeys ?? [] });
    const page = { path: '/queue', fetch: board.fetch };
    ending.push(board.close);
    const store = await fleetJobStore(queue);
    const server = await serverOf(options, {
      ...{ log, catalog, store, runner, settings, page, isAway: () => !queue.isThere() },
      retention: { keepMs, mostBytes },
    });
    return {
      ...server,
      async close(graceMs) {
        await server.close(graceMs);
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
