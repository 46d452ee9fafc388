import { CheckpointError, InterruptedError, IoError, UsageError } from '../../src/errors';
import { readTextIn, within } from '../../src/io/folder';
import { httpFolder } from '../../src/io/http-folder';
import { type FileServer, serveFiles } from './http-server';

const bytes = Uint8Array.from({ length: 3000 }, (_, i) => (i * 7) % 256);

let server: FileServer;
beforeEach(async () => {
  server = await serveFiles();
});
afterEach(() => server.close());

test('reads ranges: what is asked for, and no more', async () => {
  server.files.set('models/my model/a.bin', { bytes, etag: '"1"' });
  const folder = httpFolder(`${server.address}/models/`);
  expect(folder.name).toBe(`${server.address}/models`);
  const model = within(folder, 'my model');
  expect(await model.has('a.bin')).toBe(true);
  const file = await model.open('a.bin');
  expect([file.name, file.size]).toEqual([`${server.address}/models/my%20model/a.bin`, 3000]);
  expect(await file.read(1000, 1010)).toEqual(bytes.slice(1000, 1010));
  expect(await file.read(5, 5)).toHaveLength(0);
  const target = new Uint8Array(20);
  await file.readInto(2990, target.subarray(5, 15));
  expect([...target.subarray(5, 15)]).toEqual([...bytes.subarray(2990)]);
  await expect(file.read(2999, 3001)).rejects.toThrow('bytes 2999 to 3001 are not in it');
  file.bypassCache();
  await file.close();
  const path = 'GET models/my%20model/a.bin bytes=';
  expect(server.asked).toEqual([`${path}0-0`, `${path}1000-1009`, `${path}2990-2999`]);
});

test('a server that knows no ranges is read once, whole', async () => {
  server.files.set('a.bin', { bytes, whole: true });
  const file = await httpFolder(server.address).open('a.bin');
  expect(file.size).toBe(3000);
  expect(await file.read(1000, 1010)).toEqual(bytes.slice(1000, 1010));
  expect(await file.read(0, 3000)).toEqual(bytes);
  expect(server.asked).toHaveLength(1);
});

test('an empty file, and one whose Content-Range is hidden', async () => {
  server.files.set('empty', { bytes: new Uint8Array() });
  server.files.set('hidden', { bytes, hidden: true });
  const folder = httpFolder(server.address);
  expect(await readTextIn(folder, 'empty')).toBe('');
  const file = await folder.open('hidden');
  expect([file.size, await file.read(7, 9)]).toEqual([3000, bytes.slice(7, 9)]);
  expect(server.asked).toContain('HEAD hidden');
});

test('what comes after ? goes with every file, and is not shown; headers are sent', async () => {
  server.files.set('m/a.bin', { bytes });
  const seen: unknown[] = [];
  const watched: typeof fetch = (url, init) => {
    seen.push(new Headers(init!.headers).get('authorization'));
    return fetch(url, init);
  };
  const folder = httpFolder(`${server.address}/m?key=1`, { headers: { Authorization: 'Bearer x' }, fetch: watched });
  expect((await folder.open('a.bin')).name).toBe(`${server.address}/m/a.bin`);
  expect([server.asked, seen]).toEqual([['GET m/a.bin?key=1 bytes=0-0'], ['Bearer x']]);
});

test.each([
  ['404', undefined, 'does not exist', false],
  ['401', { bytes, status: 401 }, 'may not be read', 'may not be read'],
  ['403', { bytes, status: 403 }, 'may not be read', 'may not be read'],
  ['503', { bytes, status: 503 }, 'the server answers 503', 'the server answers 503'],
  ['a web page', { bytes, type: 'text/html; charset=utf-8', whole: true }, 'with a web page', false],
  ['a web page in ranges', { bytes, type: 'text/html' }, 'the server answers|with a web page', false],
])('%s is an error that names the address', async (_, served, message, has) => {
  if (served) server.files.set('a.bin', served);
  const folder = httpFolder(server.address);
  const thrown: unknown = await folder.open('a.bin').catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(IoError);
  expect((thrown as IoError).message).toMatch(new RegExp(message));
  expect((thrown as IoError).message).toContain(`${server.address}/a.bin`);
  expect((thrown as IoError).hint).toMatch(/\.$/);
  if (has === false) expect(await folder.has('a.bin')).toBe(false);
  else await expect(folder.has('a.bin')).rejects.toThrow(has as string);
});

test('answers that are cut are refused, and nothing is written afterwards', async () => {
  server.files.set('a.bin', { bytes });
  server.files.set('whole.bin', { bytes, whole: true, cut: 100 });
  const folder = httpFolder(server.address);
  const file = await folder.open('a.bin');
  server.files.get('a.bin')!.cut = 100;
  await expect(file.read(0, 2000)).rejects.toThrow(
    /a\.bin (could not be reached, or its server broke off|was answered)/,
  );
  await expect(folder.open('whole.bin')).rejects.toThrow(/whole\.bin (could not be reached|was answered)/);
});

test('a length other than asked for is refused, whatever the server says', async () => {
  const answers =
    (length: number): typeof fetch =>
    async () =>
      new Response(bytes.slice(0, length), { status: 206 });
  server.files.set('a.bin', { bytes });
  let given: typeof fetch = fetch;
  const file = await httpFolder(server.address, { fetch: (...request) => given(...request) }).open('a.bin');
  for (const length of [9, 11]) {
    given = answers(length);
    const thrown = await file.read(0, 10).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(CheckpointError);
    expect(thrown).toMatchObject({ fault: 'truncated_data' });
  }
});

test.each([
  ['its mark', { bytes: bytes.slice(), etag: '"2"' }, 'was changed'],
  ['its size', { bytes: bytes.slice(0, 2500), etag: '"1"' }, 'was changed'],
  ['its size, below what is read', { bytes: bytes.slice(0, 50), etag: '"1"' }, 'was changed'],
  ['its place', { bytes, status: 404 }, 'does not exist'],
  ['into a web page', { bytes, whole: true, type: 'text/html' }, 'web page'],
  ['to a server without ranges', { bytes, etag: '"1"', whole: true }, 'answered other bytes'],
])('a file that changed %s between two reads is refused', async (_, later, message) => {
  server.files.set('a.bin', { bytes, etag: '"1"' });
  const folder = httpFolder(server.address);
  const file = await folder.open('a.bin');
  expect(await file.read(0, 10)).toEqual(bytes.slice(0, 10));
  server.files.set('a.bin', later);
  await expect(file.read(100, 110)).rejects.toThrow(message);
  // Opened again, it is still the version that was seen first.
  await expect((await folder.open('a.bin')).read(100, 110)).rejects.toThrow(message);
});

test('no server, no address, no more', async () => {
  const { address } = server;
  await server.close();
  await expect(httpFolder(address).open('a.bin')).rejects.toBeInstanceOf(IoError);
  await expect(httpFolder(address).has('a.bin')).rejects.toThrow(`${address}/a.bin could not be reached`);
  for (const wrong of ['models/a', 'file:///tmp']) expect(() => httpFolder(wrong)).toThrow(UsageError);
  server = await serveFiles();
  server.files.set('a.bin', { bytes });
  const stop = new AbortController();
  const file = await httpFolder(server.address, { signal: stop.signal }).open('a.bin');
  stop.abort();
  await expect(file.read(0, 10)).rejects.toBeInstanceOf(InterruptedError);
});

test('many requests wait their turn', async () => {
  for (let i = 0; i < 40; i++) server.files.set(`${i}`, { bytes });
  let running = 0;
  let most = 0;
  const counted: typeof fetch = async (...request) => {
    most = Math.max(most, ++running);
    return fetch(...request).finally(() => running--);
  };
  const folder = httpFolder(server.address, { fetch: counted });
  const found = await Promise.all(Array.from({ length: 41 }, (_, i) => folder.has(`${i}`)));
  expect(found.filter(Boolean)).toHaveLength(40);
  expect(most).toBe(8);
});
