import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const REPOSITORY = 'owner/model';
export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

/** Numbers from 0 to 1 that are the same in every run. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export const bytes = (size: number, seed: number): Buffer => {
  const next = numbers(seed);
  return Buffer.from(Uint8Array.from({ length: size }, () => Math.floor(256 * next())));
};

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
const gitSha = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

/** What the repository holds; large files have a checksum of their own, as on the hub. */
export const contents: Readonly<Record<string, Buffer>> = {
  'model_index.json': Buffer.from('{}'),
  'README.md': Buffer.from('words'),
  'whole.safetensors': bytes(10, 1),
  'transformer/config.json': Buffer.from('{"a":1}'),
  'transformer/empty.json': Buffer.alloc(0),
  'transformer/weights.safetensors': bytes(100_000, 2),
  'transformer/weights.fp16.safetensors': bytes(10, 3),
  'transformer/weights.bin': bytes(10, 4),
  'examples/picture.png': bytes(10, 5),
};
export const WANTED = [
  'README.md',
  'model_index.json',
  'transformer/config.json',
  'transformer/empty.json',
  'transformer/weights.safetensors',
];
export const LARGE = 'transformer/weights.safetensors';

export interface Hub {
  readonly endpoint: string;
  /** Paths and ranges that were asked for. */
  readonly asked: string[];
  /** Connections to files that are cut before they are whole. */
  cuts: number;
  /** Whether the server knows ranges. */
  ranges: boolean;
  /** Changes what is sent, not what is listed. */
  spoil: boolean;
  /** What is answered in place of everything on these paths. */
  instead?: { readonly type: string; readonly body: string; readonly when: RegExp };
  /** Sends files without an end, and without saying how long they are. */
  endless?: boolean;
  /** Names another server for the second page of the list. */
  elsewhere?: boolean;
}

/** A hub on this machine that cuts connections at random bytes. */
export async function startHub(): Promise<{ hub: Hub; server: Server }> {
  const chance = numbers(7);
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const hub: Hub = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    cuts: 0,
    ranges: true,
    spoil: false,
  };

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '', hub.endpoint);
    if (hub.instead?.when.test(pathname)) {
      response.writeHead(200, { 'content-type': hub.instead.type, 'content-length': hub.instead.body.length });
      response.end(hub.instead.body);
      return;
    }
    if (pathname === `/api/models/${REPOSITORY}/revision/main`) json(response, { sha: COMMIT });
    else if (pathname === `/api/models/${REPOSITORY}/tree/${COMMIT}`) tree(response, searchParams.get('cursor'));
    else file(request, response, pathname);
  }

  function file(request: IncomingMessage, response: ServerResponse, pathname: string): void {
    const prefix = `/${REPOSITORY}/resolve/${COMMIT}/`;
    const content = pathname.startsWith(prefix) ? contents[pathname.slice(prefix.length)] : undefined;
    if (!content) {
      response.writeHead(404).end();
      return;
    }
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
    hub.asked.push(`${pathname.slice(prefix.length)} ${range ?? 'all'}`);
    const from = hub.ranges && range ? Number(range) : 0;
    const rest = Buffer.from(content.subarray(from));
    if (hub.spoil && rest.length > 0) rest[0]! ^= 1;
    if (hub.endless) {
      const more = (): unknown => response.destroyed || response.write(Buffer.alloc(10_000), () => setImmediate(more));
      response.writeHead(200);
      more();
      return;
    }
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length });
    if (hub.cuts > 0 && rest.length > 100) {
      hub.cuts--;
      response.write(rest.subarray(0, Math.floor(chance() * rest.length)), () => response.destroy());
    } else response.end(rest);
  }

  /** Two pages, the second behind a link. */
  function tree(response: ServerResponse, cursor: string | null): void {
    const all = Object.entries(contents).map(([path, content]) => ({
      type: 'file',
      path,
      size: content.length,
      oid: gitSha(content),
      ...(path.endsWith('.safetensors') && { lfs: { oid: sha256(content), size: content.length } }),
    }));
    if (cursor) {
      json(response, all.slice(4));
      return;
    }
    const next = `${hub.elsewhere ? 'http://127.0.0.1:9' : hub.endpoint}/api/models/${REPOSITORY}/tree/${COMMIT}?recursive=true&cursor=2`;
    response.setHeader('link', `<${next}>; rel="next"`);
    json(response, [{ type: 'directory', path: 'transformer', oid: 'x', size: 0 }, ...all.slice(0, 4)]);
  }

  function json(response: ServerResponse, value: unknown): void {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  }

  return { hub, server };
}
