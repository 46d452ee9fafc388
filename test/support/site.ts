import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/** How folders are served. */
export interface SiteOptions {
  /** Folders by the first part of their address; the one called '' is the site's own. */
  readonly folders: Readonly<Record<string, string>>;
  /** Pages by their path. */
  readonly pages?: Readonly<Record<string, string>>;
  /** Sends the headers of cross-origin isolation. */
  readonly isolated?: boolean;
}

/** A site that is served from this machine, to this machine. */
export interface Site {
  readonly address: string;
  /** Requests so far: paths, and bytes that were sent of each. */
  readonly sent: { readonly path: string; bytes: number }[];
  /** While set, every request is broken off. */
  isDown: boolean;
  close(): Promise<void>;
}

/** Serves folders and pages over HTTP. */
export async function serveSite({ folders, pages = {}, isolated = false }: SiteOptions): Promise<Site> {
  const sent: { path: string; bytes: number }[] = [];
  const server = createServer((request, response) => {
    if (site.isDown) return void request.socket.destroy();
    const path = decodeURIComponent(new URL(request.url!, 'http://local').pathname);
    const entry = { path, bytes: 0 };
    sent.push(entry);
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    response.setHeader(
      'Content-Type',
      TYPES[extname(path)] ?? (path.endsWith('/') ? 'text/html' : 'application/octet-stream'),
    );
    const page = pages[path];
    if (page !== undefined) return void response.end(page);
    const [, first = '', rest = ''] = /^\/([^/]*)\/?(.*)$/.exec(path) ?? [];
    const named = first === '' ? undefined : folders[first];
    const inRoot = path.endsWith('/') ? `${path}index.html` : path;
    const file =
      named === undefined ? join(folders[''] ?? '/nowhere', normalize(inRoot)) : join(named, normalize(`/${rest}`));
    const size = statSync(file, { throwIfNoEntry: false })?.isFile() ? statSync(file).size : undefined;
    if (size === undefined) {
      response.setHeader('Content-Type', 'text/plain');
      response.writeHead(404).end('There is no such file.');
      return;
    }
    response.setHeader('Content-Length', size);
    entry.bytes = size;
    createReadStream(file).pipe(response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const site: Site = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sent,
    isDown: false,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return site;
}
