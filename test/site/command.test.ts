import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPlayground, hasPlayground } from '../../src/server/http/playground';
import { type Listening, listen } from '../../src/server/listen';

const root = mkdtempSync(join(tmpdir(), 'ertacache-playground-'));
let listening: Listening;

/** A package with what the playground is made of, and a secret beside it. */
function fill(): void {
  for (const folder of ['dist/playground/assets', 'dist/browser', 'converted-models/tiny', 'calibration']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, 'dist/playground/index.html'), '<!doctype html><title>page</title>');
  writeFileSync(join(root, 'dist/playground/assets/index-abcdefgh.js'), '1');
  writeFileSync(join(root, 'dist/browser/worker.mjs'), 'export {};');
  writeFileSync(join(root, 'converted-models/tiny/model.json'), '{}');
  writeFileSync(join(root, 'secret.txt'), 'secret');
  symlinkSync(join(root, 'secret.txt'), join(root, 'dist/playground/link.txt'));
}

beforeAll(async () => {
  fill();
  const app = createPlayground(root);
  const fetch = async (asked: Request): Promise<Response> => app.fetch(asked);
  listening = await listen({ fetch }, { host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await listening.close();
  rmSync(root, { recursive: true });
});

/** Asks for a path as it is: `fetch` would tidy it first. */
function ask(
  path: string,
  headers = {},
): Promise<{ status: number; text: string; headers: NodeJS.Dict<string | string[]> }> {
  return new Promise((resolve, reject) => {
    request(`${listening.url}/`, { path, headers }, response => {
      let text = '';
      response.on('data', data => (text += data));
      response.on('end', () => resolve({ status: response.statusCode!, text, headers: response.headers }));
    })
      .on('error', reject)
      .end();
  });
}

test('the page, with what gives it threads and keeps it to itself', async () => {
  const { status, text, headers } = await ask('/');
  expect([status, text]).toEqual([200, '<!doctype html><title>page</title>']);
  expect(headers).toMatchObject({
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'content-type': expect.stringMatching(/^text\/html/),
    'content-security-policy': expect.stringContaining("default-src 'self'"),
    'cache-control': 'no-cache',
  });
  expect((await ask('/assets/index-abcdefgh.js')).headers['cache-control']).toContain('immutable');
  expect((await ask('/models/tiny/model.json')).text).toBe('{}');
  expect((await ask('/browser/worker.mjs')).headers['content-type']).toMatch(/javascript/);
});

test.each([
  ['bytes=0-4', 206, '<!doc', 'bytes 0-4/34'],
  ['bytes=28-', 206, 'title>', 'bytes 28-33/34'],
  ['bytes=-3', 206, 'le>', 'bytes 31-33/34'],
  ['bytes=30-1000', 206, 'tle>', 'bytes 30-33/34'],
  ['bytes=34-', 416, '', 'bytes */34'],
  ['bytes=-0', 416, '', 'bytes */34'],
  // Whatever is not one range of bytes is answered as if nothing had been said.
  ...['bytes=0-4,6-9', 'bytes=4-0', 'bytes=-', 'bytes=a-b', '0-4', 'lines=0-4'].map(
    range => [range, 200, '<!doctype html><title>page</title>', undefined] as const,
  ),
] as const)('of a file %s is asked for: %i', async (range, status, text, content) => {
  const answer = await ask('/', { range });
  expect([answer.status, answer.text, answer.headers['content-range']]).toEqual([status, text, content]);
  if (status === 200) expect(answer.headers['content-length']).toBe('34');
});

test('a range of another state of a file is answered with the whole', async () => {
  const { status } = await ask('/', { range: 'bytes=0-4', 'if-range': '"another"' });
  expect(status).toBe(200);
});

test.each([
  '/../../secret.txt',
  '/%2e%2e/%2e%2e/secret.txt',
  '/..%2f..%2fsecret.txt',
  '/models/../../secret.txt',
  '/models/%2e%2e/secret.txt',
  '/models//../../secret.txt',
  '/assets/..\\..\\..\\secret.txt',
  '/link.txt',
  '/%00/secret.txt',
  '/%',
])('nothing outside its folders: %s', async path => {
  const { status, text } = await ask(path);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(text).not.toContain('secret');
  expect((await ask('/')).status).toBe(200);
});

test('a page elsewhere whose name leads here is not answered', async () => {
  const { status, text } = await ask('/', { host: 'evil.example:80' });
  expect(status).toBe(403);
  expect(text).not.toContain('page');
});

test('a package without the built page is told', () => {
  expect(hasPlayground(join(root, 'nowhere'))).toBe(false);
  expect(hasPlayground(root)).toBe(true);
});
