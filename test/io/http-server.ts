import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a server does with a file beyond handing it over. */
export interface Served {
  bytes: Uint8Array;
  etag?: string;
  type?: string;
  /** Answers range requests with the whole file. */
  whole?: boolean;
  /** Answers with this status. */
  status?: number;
  /** Ends every answer after this many bytes. */
  cut?: number;
  /** Does not say which bytes it sends, as browsers are not shown it. */
  hidden?: boolean;
}

/** A server of these files, by path, and what it was asked for. */
export interface FileServer {
  readonly address: string;
  readonly files: Map<string, Served>;
  readonly asked: string[];
  close(): Promise<void>;
}

/** Serves files in memory from this machine, to this machine. */
export async function serveFiles(): Promise<FileServer> {
  const files = new Map<string, Served>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://local').pathname.slice(1));
    asked.push(`${request.method} ${request.url!.slice(1)} ${request.headers.range ?? ''}`.trim());
    answer(request, response, files.get(path));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    files,
    asked,
    close: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer({ method, headers }: IncomingMessage, response: ServerResponse, file: Served | undefined): void {
  if (!file || file.status !== undefined) {
    response.writeHead(file?.status ?? 404).end();
    return;
  }
  const { bytes, etag, type = 'application/octet-stream', whole, cut, hidden } = file;
  const range = whole ? undefined : /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '');
  const [first, end] = range ? [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)] : [0, bytes.length];
  response.setHeader('Content-Type', type);
  if (etag !== undefined) response.setHeader('ETag', etag);
  if (range && first >= bytes.length) {
    response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
    return;
  }
  response.setHeader('Content-Length', end - first);
  if (range && !hidden) response.setHeader('Content-Range', `bytes ${first}-${end - 1}/${bytes.length}`);
  response.writeHead(range ? 206 : 200);
  if (method === 'HEAD') response.end();
  else if (cut === undefined) response.end(bytes.subarray(first, end));
  else response.write(bytes.subarray(first, Math.min(end, first + cut)), () => response.destroy());
}
