import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { EngineError, IoError, UsageError } from '../errors';
import { systemCode } from '../io/system-error';
import type { PictureServer } from './server';
import { within } from './within';

/** Where a server listens. */
export interface ListenOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** How long a client may take to send its request, in milliseconds; a minute unless given. */
  readonly requestMs?: number | undefined;
}

/** A server that listens. */
export interface Listening {
  /** Its address, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /**
   * Ends all connections.
   * @param graceMs how long answers that are being sent may take to end, in milliseconds; none by default
   */
  close(graceMs?: number): Promise<void>;
}

const REQUEST_MS = 60_000;
/** A client that takes longer to send its headers is left, in milliseconds. */
const HEADERS_MS = 10_000;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** Whether only this machine can reach a server there. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

/**
 * Refuses to let everybody in by mistake.
 * @throws UsageError for an address that others can reach, without keys and without a word that this is wanted
 */
export function requireGuarded(host: string, keys: readonly string[], noAuth: boolean): void {
  if (isLoopback(host) || keys.length > 0 || noAuth) return;
  throw new UsageError(`On ${host} everybody who reaches this machine could draw.`, {
    hint: 'Give the keys that are let in (--api-key-file FILE), or say that it is meant so (--no-auth).',
  });
}

/** Listens. @throws IoError when it cannot */
export async function listen(
  { fetch }: Pick<PictureServer, 'fetch'>,
  { host, port, requestMs = REQUEST_MS }: ListenOptions,
): Promise<Listening> {
  const server = await new Promise<Server>((resolve, reject) => {
    const made = serve(
      {
        fetch,
        hostname: host,
        port,
        overrideGlobalObjects: false,
        serverOptions: {
          headersTimeout: Math.min(HEADERS_MS, requestMs),
          requestTimeout: requestMs,
          connectionsCheckingInterval: Math.min(HEADERS_MS, requestMs) / 2,
          keepAliveTimeout: 75_000,
        },
      },
      () => resolve(made),
    ) as Server;
    made.once('error', error => reject(listenError(error, host, port)));
  });
  const answering = new Set<ServerResponse>();
  server.on('request', (_, response: ServerResponse) => {
    answering.add(response);
    response.once('close', () => answering.delete(response));
  });
  const { address, family, port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`,
    async close(graceMs = 0) {
      // Before Node's own close, which breaks off answers that are written and not yet sent.
      await within(graceMs, [...answering].map(closed));
      await new Promise<void>(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

const closed = (response: ServerResponse): Promise<void> =>
  new Promise(resolve => {
    response.once('close', () => resolve());
  });

function listenError(error: Error, host: string, port: number): Error {
  const code = systemCode(error);
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program listens there',
    EACCES: 'this user may not',
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'there is no such name',
  };
  if (code === undefined) return new EngineError(`Cannot listen on ${host}:${port}.`, { cause: error });
  return new IoError(`Cannot listen on ${host}:${port}: ${reasons[code] ?? `the system reports ${code}`}.`, {
    hint: `Choose another one with --${code === 'EADDRINUSE' || code === 'EACCES' ? 'port' : 'host'}.`,
    cause: error,
  });
}
