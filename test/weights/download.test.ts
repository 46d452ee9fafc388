import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { download, planDownload } from '../../src/weights/download/download';
import { hubSettings } from '../../src/weights/download/repository';

const REPOSITORY = 'owner/model';
const COMMIT = '0123456789abcdef0123456789abcdef01234567';

/** Numbers from 0 to 1 that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const bytes = (size: number, seed: number): Buffer => {
  const next = numbers(seed);
  return Buffer.from(Uint8Array.from({ length: size }, () => Math.floor(256 * next())));
};

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
const gitSha = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');

/** What the repository holds; large files have a checksum of their own, as on the hub. */
const contents: Readonly<Record<string, Buffer>> = {
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
const WANTED = [
  'README.md',
  'model_index.json',
  'transformer/config.json',
  'transformer/empty.json',
  'transformer/weights.safetensors',
];
const LARGE = 'transformer/weights.safetensors';

interface Hub {
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
async function startHub(): Promise<{ hub: Hub; server: Server }> {
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

describe('download', () => {
  let hub: Hub;
  let server: Server;
  let folder: string;

  beforeEach(async () => {
    ({ hub, server } = await startHub());
    folder = mkdtempSync(join(tmpdir(), 'download-'));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  const options = (more: object = {}) => ({ endpoint: hub.endpoint, pauseMs: 1, ...more });
  const plan = () => planDownload(REPOSITORY, 'main', options());
  const at = (path: string): string => join(folder, path);

  test('takes what a model is loaded from, and says how much before it starts', async () => {
    const { files, commit, bytes: total } = await plan();
    expect(files.map(f => f.path).sort()).toEqual([...WANTED].sort());
    expect(commit).toBe(COMMIT);
    expect(total).toBe(WANTED.reduce((sum, path) => sum + contents[path]!.length, 0));
    expect(hub.asked).toEqual([]);
  });

  test('brings every file whole, though connections are cut at random bytes', async () => {
    hub.cuts = 6;
    let got = 0;
    const wanted = await plan();
    await download(wanted, folder, options({ attempts: 20, onBytes: (n: number) => (got += n) }));
    for (const path of WANTED) expect(readFileSync(at(path)).equals(contents[path]!)).toBe(true);
    expect(hub.cuts).toBe(0);
    expect(got).toBe(wanted.bytes);
    expect(hub.asked.filter(a => a.startsWith(LARGE)).length).toBe(7);
  });

  test('goes on where a former run ended, and leaves finished files alone', async () => {
    hub.cuts = 1;
    await expect(download(await plan(), folder, options({ attempts: 0 }))).rejects.toThrow(`${LARGE} stopped at`);
    expect(existsSync(at(LARGE))).toBe(false);
    const had = readFileSync(`${at(LARGE)}.partial`).length;
    hub.asked.length = 0;
    await download(await plan(), folder, options());
    // The cut may have come before the first byte: then there is nothing to go on from.
    expect(hub.asked).toEqual([`${LARGE} ${had === 0 ? 'all' : had}`]);
    expect(readFileSync(at(LARGE)).equals(contents[LARGE]!)).toBe(true);
    expect(existsSync(`${at(LARGE)}.partial`)).toBe(false);
  });

  test('starts a file again where the server knows no ranges', async () => {
    hub.cuts = 2;
    hub.ranges = false;
    await download(await plan(), folder, options());
    expect(readFileSync(at(LARGE)).equals(contents[LARGE]!)).toBe(true);
  });

  test('what is left of another version is thrown away, not completed', async () => {
    await download(await plan(), folder, options());
    rmSync(at(LARGE));
    writeFileSync(`${at(LARGE)}.partial`, bytes(500, 99));
    await download(await plan(), folder, options());
    expect(readFileSync(at(LARGE)).equals(contents[LARGE]!)).toBe(true);
  });

  test('a wrong checksum is refused and leaves nothing', async () => {
    hub.spoil = true;
    await expect(download(await plan(), folder, options())).rejects.toThrow('wrong checksum');
    for (const path of ['README.md', 'model_index.json', LARGE]) {
      expect(existsSync(at(path))).toBe(false);
      expect(existsSync(`${at(path)}.partial`)).toBe(false);
    }
  });

  const full = '/dev/full';
  (existsSync(full) ? test : test.skip)('a full disk leaves no half file under the name', async () => {
    const wanted = await plan();
    const large = wanted.files.filter(f => f.path === LARGE);
    const path = join(folder, 'transformer');
    await download({ ...wanted, files: wanted.files.filter(f => f.path !== LARGE) }, folder, options());
    symlinkSync(full, join(path, 'weights.safetensors.partial'));
    await expect(download({ ...wanted, files: large }, folder, options())).rejects.toThrow('disk is full');
    expect(existsSync(at(LARGE))).toBe(false);
  });

  test('says what cannot be had', async () => {
    await expect(planDownload('owner/other', 'main', options())).rejects.toThrow('answered with 404');
    await expect(planDownload('no name', 'main', options())).rejects.toThrow('no name of a repository');
    const gone = planDownload(REPOSITORY, 'main', { endpoint: 'http://127.0.0.1:9' });
    await expect(gone).rejects.toThrow('cannot be reached');
  });

  test.each([
    ['a web page', 'text/html; charset=utf-8', '<!doctype html><p>Sign in', 'a web page'],
    ['no JSON', 'application/json', '<p>Sign in', 'something that is not JSON'],
    ['another form', 'application/json', '{"error":"no"}', "JSON of another form than the hub's"],
    ['a list', 'application/json', '[1]', "JSON of another form than the hub's"],
    ['a commit that is a path', 'application/json', '{"sha":"../.."}', "JSON of another form than the hub's"],
  ])('a hub that answers with %s is told for it', async (_, type, body, what) => {
    hub.instead = { type, body, when: /./ };
    await expect(plan()).rejects.toMatchObject({
      code: 'io',
      message: `${new URL(hub.endpoint).host} answered with ${what}.`,
    });
    hub.instead = { ...hub.instead, when: /\/tree\// };
    if (what !== "JSON of another form than the hub's" || body === '[1]') {
      await expect(plan()).rejects.toThrow(`answered with ${what}.`);
    }
  });

  test.each([
    ['a web page in place of', 'text/html', 'Sign in'],
    ['came with 7 bytes, and', 'text/plain', 'Sign in'],
  ])('a file that is answered with something else is not taken: %s', async (what, type, body) => {
    const wanted = await plan();
    hub.instead = { type, body, when: /\/resolve\/.*weights/ };
    await expect(download(wanted, folder, options())).rejects.toThrow(what);
    expect(existsSync(at(LARGE))).toBe(false);
    expect(hub.asked.filter(asked => asked.startsWith(LARGE))).toEqual([]);
  });

  test('nothing beyond the listed size is written', async () => {
    const wanted = await plan();
    hub.endless = true;
    await expect(download(wanted, folder, options())).rejects.toThrow(/came with more than \d+ bytes/);
    for (const path of WANTED) expect(existsSync(at(path))).toBe(false);
  });

  test('a list that goes on on another server is refused', async () => {
    hub.elsewhere = true;
    await expect(plan()).rejects.toThrow('a list that goes on on another server');
  });

  test.each(['127.0.0.1:9401', 'localhost:9401', 'hub', 'ftp://hub'])(
    'the endpoint %s is no address',
    async endpoint => {
      await expect(planDownload(REPOSITORY, 'main', { endpoint })).rejects.toMatchObject({
        code: 'usage',
        message: `HF_ENDPOINT is "${endpoint}", which is no address of a server.`,
        hint: expect.stringContaining('http://'),
      });
    },
  );

  test('a revision with slashes is one name, as the hub’s own client sends it', async () => {
    await expect(planDownload(REPOSITORY, 'refs/pr/1', options())).rejects.toThrow(
      `/api/models/${REPOSITORY}/revision/refs%2Fpr%2F1 was answered with 404`,
    );
  });

  test('stops when asked', async () => {
    const wanted = await plan();
    const stopped = download(wanted, folder, options({ signal: AbortSignal.abort() }));
    await expect(stopped).rejects.toThrow('aborted');
  });

  test('mirror and token come from the settings that the hub’s tools share', () => {
    expect(hubSettings({ HF_ENDPOINT: 'http://mirror', HF_TOKEN: 't' })).toEqual({
      endpoint: 'http://mirror',
      token: 't',
    });
    expect(hubSettings({})).toEqual({});
  });
});
