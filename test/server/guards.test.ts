import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { readKeys } from '../../src/server/key-file';
import { listen, requireGuarded } from '../../src/server/listen';
import { createServer } from '../../src/server/server';
import { byteSize, duration } from '../../src/server/units';
import { scratchFolder } from '../media/pictures';
import { command } from '../weights/command';
import { deskServer } from './desk-server';
import { fakeRunner } from './fake-runner';

const scratch = scratchFolder();
const KEY = 'key-of-one-0123456789';
const heart = { prompt: 'red heart', seed: 1 };
const GENERATE = '/v1/images/generations';
const fault = async (answer: Response): Promise<Record<string, unknown>> =>
  ((await answer.json()) as { error: Record<string, unknown> }).error;

test('without a key that is known nobody draws, looks at jobs or at figures; health is told to all', async () => {
  const { get, post, runner } = await deskServer({ apiKeys: [KEY, 'key-of-two-0123456789'] });
  for (const authorization of [undefined, 'Bearer', `Bearer ${KEY}x`, `Basic ${KEY}`, KEY]) {
    const headers = authorization === undefined ? {} : { authorization };
    for (const path of ['/v1/models', '/v1/jobs', '/v1/videos', '/metrics', '/nothing']) {
      const answer = await get(path, { headers });
      expect([path, answer.status, answer.headers.get('www-authenticate')]).toEqual([path, 401, 'Bearer']);
      expect(await fault(answer)).toMatchObject({ type: 'authentication_error', code: 'invalid_api_key' });
    }
    expect((await post(GENERATE, heart, { headers })).status).toBe(401);
  }
  for (const path of ['/', '/docs', '/openapi.json', '/healthz', '/readyz']) expect((await get(path)).status).toBe(200);
  expect((await get('/v1/models', { headers: { authorization: `bearer ${KEY}` } })).status).toBe(200);
  expect(runner.drawings).toHaveLength(0);
});

test('another address than this machine needs keys, or a word that none are wanted', () => {
  for (const host of ['127.0.0.1', 'localhost', '::1']) expect(() => requireGuarded(host, [], false)).not.toThrow();
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.org', '127.0.0.1.example.org']) {
    expect(() => requireGuarded(host, [], false)).toThrow('everybody who reaches this machine could draw');
    expect(() => requireGuarded(host, [KEY], false)).not.toThrow();
    expect(() => requireGuarded(host, [], true)).not.toThrow();
  }
});

test('a file of keys has one a line, and none that can be guessed', async () => {
  const file = scratch.path('keys');
  writeFileSync(file, `# of the team\n${KEY}\r\n\n  key-of-two-0123456789  \n`);
  expect(await readKeys(file)).toEqual([KEY, 'key-of-two-0123456789']);
  for (const text of ['', '# none\n', 'short\n', 'a key with blanks in it\n']) {
    writeFileSync(file, text);
    await expect(readKeys(file)).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(file) });
  }
});

test('pages of other origins are refused, unless they are allowed', async () => {
  const { get, post } = await deskServer({ origins: ['https://mine.example'] }, fakeRunner({ atOnce: true }));
  const from = (origin: string) => ({ headers: { origin, host: 'localhost:8080' } });
  expect((await post(GENERATE, heart, from('https://evil.example'))).status).toBe(403);
  const allowed = await post(GENERATE, heart, from('https://mine.example'));
  expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([200, 'https://mine.example']);
  expect((await post(GENERATE, heart, from('http://localhost:8080'))).status).toBe(200);
  const asked = await get(GENERATE, {
    method: 'OPTIONS',
    headers: { ...from('https://mine.example').headers, 'access-control-request-method': 'POST' },
  });
  expect([asked.status, asked.headers.get('access-control-allow-methods')]).toEqual([204, 'GET,POST,DELETE']);
});

test('a page of an allowed origin may send the headers of the official client, and read those of ours', async () => {
  const { get, post } = await deskServer(
    { origins: ['https://mine.example'], apiKeys: [KEY] },
    fakeRunner({ atOnce: true }),
  );
  const names = 'authorization,content-type,x-stainless-lang,x-stainless-retry-count,x-stainless-timeout';
  const ask = (origin: string) =>
    get(GENERATE, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': names },
    });
  const asked = await ask('https://mine.example');
  expect([asked.status, asked.headers.get('access-control-allow-headers')]).toEqual([204, names]);
  const refused = await ask('https://evil.example');
  expect([refused.status, refused.headers.get('access-control-allow-headers')]).toEqual([403, null]);
  const headers = { origin: 'https://mine.example', authorization: `Bearer ${KEY}` };
  const answer = await post(GENERATE, heart, { headers });
  expect(answer.headers.get('x-ertacache-joined')).toBe('false');
  expect(answer.headers.get('access-control-expose-headers')?.split(',')).toContain('x-ertacache-joined');
});

test('on this machine alone, another name for it is refused', async () => {
  const { get } = await deskServer({ onlyLoopback: true });
  for (const [host, status] of [
    ['localhost:8080', 200],
    ['127.0.0.1', 200],
    ['[::1]:8080', 200],
    ['evil.example', 403],
    ['127.0.0.1.evil.example', 403],
  ] as const) {
    expect([host, (await get('/v1/models', { headers: { host } })).status]).toEqual([host, status]);
  }
});

test('a key may make so many requests a minute', async () => {
  const { get } = await deskServer({ perMinute: 3, apiKeys: [KEY, 'key-of-two-0123456789'] });
  const as = (key: string) => get('/v1/models', { headers: { authorization: `Bearer ${key}` } });
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) statuses.push((await as(KEY)).status);
  expect(statuses).toEqual([200, 200, 200, 429]);
  expect(Number((await as(KEY)).headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await as('key-of-two-0123456789')).status).toBe(200);
});

test('bodies are bounded, whatever they say of themselves, and of a kind that is known', async () => {
  const { post, runner } = await deskServer({ limits: { jsonBytes: 1000, uploadBytes: 5000 } });
  const large = JSON.stringify({ ...heart, user: 'x'.repeat(2000) });
  expect((await post(GENERATE, undefined, { body: large })).status).toBe(413);
  const endless = new ReadableStream<Uint8Array>({
    pull: controller => controller.enqueue(new Uint8Array(300).fill(32)),
  });
  expect((await post(GENERATE, undefined, { body: endless, duplex: 'half' } as RequestInit)).status).toBe(413);
  expect((await post(GENERATE, heart, { headers: { 'content-type': 'text/plain' } })).status).toBe(415);
  for (const body of ['', '{', '[]', 'null', '"x"'])
    expect((await post(GENERATE, undefined, { body })).status).toBe(400);
  const form = { headers: { 'content-type': 'multipart/form-data; boundary=x' } };
  expect((await post('/v1/images/edits', undefined, { ...form, body: 'no form' })).status).toBe(400);
  expect(runner.drawings).toHaveLength(0);
});

test('unknown fields pass, unless they are to be refused', async () => {
  const lax = await deskServer({}, fakeRunner({ atOnce: true }));
  expect((await lax.post(GENERATE, { ...heart, colour: 'red' })).status).toBe(200);
  const strict = await deskServer({ strict: true }, fakeRunner({ atOnce: true }));
  const refused = await strict.post(GENERATE, { ...heart, colour: 'red' });
  expect([refused.status, await fault(refused)]).toEqual([
    400,
    {
      message: 'The field colour is not known here.',
      type: 'invalid_request_error',
      param: 'colour',
      code: 'unknown_field',
    },
  ]);
  expect((await strict.post(GENERATE, { ...heart, quality: 'high' })).status).toBe(200);
});

test.each([GENERATE, '/v1/videos', '/v1/jobs'])(
  'fields that change the picture and are not served are refused at %s, and not passed over',
  async path => {
    const { get, post, runner } = await deskServer();
    const ofDraw = ['loras', 'lora', 'transformer', 'init', 'embeddings', 'dtype', 'variant'];
    for (const field of [...ofDraw, 'mask', 'image', 'images', 'input_reference']) {
      const answer = await post(path, { ...heart, [field]: 'x' });
      expect([answer.status, await fault(answer)]).toMatchObject([
        400,
        { type: 'invalid_request_error', param: field },
      ]);
    }
    const form = new FormData();
    for (const [name, value] of Object.entries({ prompt: 'a', 'loras[]': 'x' })) form.append(name, value);
    const answer = await get(path, { method: 'POST', body: form });
    expect([answer.status, (await fault(answer)).param]).toEqual([400, 'loras']);
    expect(runner.drawings).toHaveLength(0);
  },
);

test('a mask is refused, and not passed over: the whole picture would be drawn anew', async () => {
  const { get, runner } = await deskServer({}, fakeRunner({ atOnce: true }));
  const edit = async (...names: string[]): Promise<Response> => {
    const form = new FormData();
    form.append('prompt', 'red heart');
    for (const name of names) form.append(name, new Blob(['a picture']), `${name}.png`);
    return get('/v1/images/edits', { method: 'POST', body: form });
  };
  for (const name of ['mask', 'mask[]']) {
    const answer = await edit('image', name);
    expect([answer.status, await fault(answer)]).toMatchObject([400, { code: 'unsupported', param: 'mask' }]);
  }
  expect(runner.drawings).toHaveLength(0);
  expect((await edit('image')).status).toBe(200);
});

test('no transparent background is promised', async () => {
  const { post } = await deskServer({}, fakeRunner({ atOnce: true }));
  const answer = await post(GENERATE, { ...heart, background: 'transparent' });
  expect([answer.status, (await fault(answer)).param]).toEqual([400, 'background']);
  for (const background of ['opaque', 'auto', null]) {
    expect((await post(GENERATE, { ...heart, background })).status).toBe(200);
  }
});

test('another size or length than the only one of a model is refused before anybody draws', async () => {
  const { post, runner } = await deskServer();
  const clip = { ...heart, model: 'fluent-emoji-video' };
  for (const [path, body, param] of [
    [GENERATE, { ...heart, size: '9x9' }, 'size'],
    ['/v1/videos', { ...clip, size: '9x9' }, 'size'],
    ['/v1/videos', { ...clip, frames: 3 }, 'frames'],
    ['/v1/videos', { ...clip, seconds: 60 }, 'seconds'],
    ['/v1/jobs', { ...clip, size: '9x9' }, 'size'],
  ] as const) {
    const answer = await post(path, body);
    expect([path, answer.status, (await fault(answer)).param]).toEqual([path, 400, param]);
  }
  expect(runner.drawings).toHaveLength(0);
});

test('what is too large is refused before anybody draws', async () => {
  const { post, runner } = await deskServer({ limits: { pixels: 1e6, steps: 50 } });
  for (const body of [{ steps: 51 }, { size: '1001x1000' }, { scale: 64 }, { size: '100x100', scale: 11 }]) {
    const answer = await post(GENERATE, { ...heart, ...body });
    expect([body, answer.status, (await fault(answer)).code]).toEqual([body, 400, 'too_large']);
  }
  const clip = { model: 'fluent-emoji-video', prompt: 'a' };
  for (const body of [{ frames: 9000 }, { seconds: 3000 }]) {
    expect((await post('/v1/videos', { ...clip, ...body })).status).toBe(400);
  }
  expect(runner.drawings).toHaveLength(0);
});

test('counts of steps are told with the limit of this server', async () => {
  const { post } = await deskServer({ limits: { steps: 50 } });
  for (const body of [{ steps: 0 }, { steps: 1e9 }, { forwards: 0 }, { steps: 1.5 }]) {
    const answer = await post(GENERATE, { ...heart, ...body });
    expect([answer.status, (await fault(answer)).message]).toEqual([
      400,
      `The ${Object.keys(body)[0]} of the request is wrong: must be a whole number from 1 to 50.`,
    ]);
  }
});

test.each(['', '/pictures'])('a path that is known under %j tells the methods that it takes', async basePath => {
  const { get } = await deskServer({ basePath });
  for (const [method, path, allowed] of [
    ['GET', GENERATE, 'POST'],
    ['DELETE', '/v1/models', 'GET, HEAD'],
    ['PUT', '/v1/videos/some-id', 'DELETE, GET, HEAD'],
    ['GET', '/v1/jobs/some-id/cancel', 'POST'],
    ['POST', '/healthz', 'GET, HEAD'],
  ] as const) {
    const answer = await get(`${basePath}${path}`, { method });
    expect([path, answer.status, answer.headers.get('allow')]).toEqual([path, 405, allowed]);
    expect((await fault(answer)).code).toBe('method_not_allowed');
  }
  const nothing = await get(`${basePath}/v1/nothing`, { method: 'PUT' });
  expect([nothing.status, (await fault(nothing)).message]).toEqual([
    404,
    `There is nothing at this path; see ${basePath}/docs.`,
  ]);
  // No model has an empty name.
  expect((await get(`${basePath}/v1/models/`)).status).toBe(404);
});

test('an answer that fails when it has begun is broken off after its reason, and nothing is printed', async () => {
  const server = await deskServer({ headersAfterMs: 20 });
  const { url, close } = await listen(server, { host: '127.0.0.1', port: 0 });
  const printed = (['error', 'info', 'log', 'warn'] as const).map(name => jest.spyOn(console, name));
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let answer = '';
  socket.on('data', data => {
    answer += data;
  });
  const body = JSON.stringify(heart);
  socket.write(
    `POST ${GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  while (!answer.includes('200 OK')) await new Promise(resolve => setTimeout(resolve, 5));
  const over = new Promise(resolve => socket.on('close', resolve));
  server.runner.drawings[0]!.fail(new Error('broken'));
  await over;
  expect(answer).toContain('"code":"internal"');
  // No chunk of no length, which would end it.
  expect(answer).not.toMatch(/\r\n0\r\n\r\n$/);
  for (const spy of printed) expect(spy).not.toHaveBeenCalled();
  await close();
});

test('the server is mounted below a path, and known by another address', async () => {
  const { get, post } = await deskServer(
    { basePath: '/pictures', publicUrl: 'https://example.org/pictures' },
    fakeRunner({ atOnce: true }),
  );
  expect((await get('/v1/models')).status).toBe(404);
  expect((await get('/pictures/healthz')).status).toBe(200);
  const answer = await post('/pictures/v1/images/generations', { ...heart, response_format: 'url' });
  const { data } = (await answer.json()) as { data: [{ url: string }] };
  expect(data[0].url).toMatch(/^https:\/\/example\.org\/pictures\/v1\/files\/file_[\w-]{24}\/0\.png$/);
  expect((await get(new URL(data[0].url).pathname)).status).toBe(200);
});

test('below a path the home page is there with its slash and without, and leads to what lies below the path', async () => {
  const { get } = await deskServer({ basePath: '/pictures', publicUrl: 'https://example.org/pictures/' });
  for (const path of ['/pictures', '/pictures/']) {
    const home = await get(path);
    expect([path, home.status, home.headers.get('x-frame-options')]).toEqual([path, 200, 'SAMEORIGIN']);
    const text = await home.text();
    expect(text).toContain('curl https://example.org/pictures/v1/images/generations');
    const links = [...text.matchAll(/href="([^"]+)"/g)].map(([, href]) => new URL(href!, `http://localhost${path}`));
    expect(links.map(({ pathname }) => pathname)).toContain('/pictures/docs');
    for (const { pathname } of links) expect([pathname, (await get(pathname)).status]).toEqual([pathname, 200]);
  }
  expect((await get('/pictures/', { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD');
  // Behind a proxy that cuts the path off itself.
  expect(await (await (await deskServer()).get('/')).text()).toContain('href="docs"');
});

test('a key is not asked for at the home page of a path, but everywhere else below it', async () => {
  const { get } = await deskServer({ basePath: '/pictures', apiKeys: [KEY], onlyLoopback: true });
  expect((await get('/pictures/')).status).toBe(200);
  expect((await get('/pictures/v1/models')).status).toBe(401);
  expect((await get('/pictures/', { headers: { host: 'evil.example' } })).status).toBe(403);
});

test('a client that sends its request slowly is left', async () => {
  const server = await deskServer();
  const { url, close } = await listen(server, { host: '127.0.0.1', port: 0, requestMs: 400 });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let answer = '';
  socket.on('data', data => {
    answer += data;
  });
  socket.write(
    `POST ${GENERATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{`,
  );
  await new Promise(resolve => socket.on('close', resolve));
  expect(answer).toMatch(/^(HTTP\/1\.1 408 |$)/);
  expect(server.runner.drawings).toHaveLength(0);
  await close();
});

test('answers that are being sent when a server closes come to their end, where there is time', async () => {
  const size = 3e7;
  const { url, close } = await listen(
    { fetch: async () => new Response(new Uint8Array(size)) },
    { host: '127.0.0.1', port: 0 },
  );
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [first] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  const closing = close(20_000);
  await new Promise(resolve => setTimeout(resolve, 200));
  let length = first.length;
  socket.on('data', data => {
    length += data.length;
  });
  socket.resume();
  await Promise.all([once(socket, 'close'), closing]);
  expect(length).toBeGreaterThan(size);
  await expect(fetch(url)).rejects.toThrow();
});

test('a client that does not take its answer keeps no server from closing', async () => {
  const { url, close } = await listen(
    { fetch: async () => new Response(new Uint8Array(3e7)) },
    { host: '127.0.0.1', port: 0 },
  );
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  socket.pause();
  const started = performance.now();
  await close(300);
  expect(performance.now() - started).toBeLessThan(3000);
  socket.destroy();
});

test('a port that is taken is told in a sentence', async () => {
  const server = await deskServer();
  const { url, close } = await listen(server, { host: '127.0.0.1', port: 0 });
  const port = Number(new URL(url).port);
  await expect(listen(server, { host: '127.0.0.1', port })).rejects.toThrow(
    `Cannot listen on 127.0.0.1:${port}: another program listens there.`,
  );
  await close();
});

test('times and sizes have units', () => {
  expect([duration('30s'), duration('1.5h'), duration('7d')]).toEqual([30_000, 5_400_000, 604_800_000]);
  expect([byteSize('500MB'), byteSize('1.5 GB')]).toEqual([5e8, 1.5e9]);
  // Whole, as the server takes them.
  expect([duration('1.1d'), byteSize('1.005GB')]).toEqual([95_040_000, 1_005_000_000]);
  for (const text of ['', '7', 'd', '-1d', '7w', '1e9d', 'NaNs']) expect(() => duration(text)).toThrow('is not a time');
  expect(() => byteSize('10gb')).toThrow('is not a size');
});

test.each([
  [['--host', '0.0.0.0'], 'everybody who reaches this machine could draw'],
  [['--keep', '7w'], 'is not a time such as'],
  [['--max-disk', '1e9'], 'is not a size such as'],
  [['--port', '70000'], 'whole number from 0 to 65535'],
  [['--port', '1e3'], 'whole number from 0 to 65535'],
  [['--model', './nothing'], 'There is no model "./nothing"'],
  [['--model', 'a=fluent-emoji', '--model', 'a=fluent-emoji'], 'Two models are called "a"'],
  [['--base-path', 'pictures'], 'cannot stand before others'],
])('the command line refuses %j before anything runs', async (args, message) => {
  const { code, stderr } = await command('serve', '--port', '0', '--data', scratch.path('data'), ...args);
  expect(code).not.toBe(0);
  expect(stderr).toContain(message);
});

test.each([
  ['workers', 0],
  ['workers', 1.5],
  ['maxQueue', -1],
  ['keepMs', Number.NaN],
  ['maxBatch', 1000],
])('no server is made with %s of %p', async (name, value) => {
  await expect(createServer({ [name]: value, logLevel: 'silent' })).rejects.toThrow(
    `The argument ${name} is ${value}, and must be a whole number from `,
  );
});

test.each(['jsonBytes', 'uploadBytes', 'steps', 'pixels'])('no server is made without a limit of %s', async name => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 0, -1, 1.5]) {
    await expect(createServer({ limits: { [name]: value }, logLevel: 'silent' })).rejects.toThrow(
      `The argument limits.${name} is ${value}, and must be a whole number from 1 to `,
    );
  }
});

test('an origin that no browser sends is refused, and one is taken however it is written', async () => {
  for (const origin of ['https://example.org/', 'example.org', '']) {
    await expect(createServer({ origins: [origin], logLevel: 'silent' })).rejects.toThrow('is not an origin of pages.');
  }
  const { get } = await deskServer({ origins: ['https://Mine.example'] });
  expect((await get('/v1/models', { headers: { origin: 'https://mine.example' } })).status).toBe(200);
});

test('a limit that is undefined is the usual one', async () => {
  const { post } = await deskServer({ limits: { jsonBytes: undefined, steps: undefined } as never });
  const large = JSON.stringify({ ...heart, user: 'x'.repeat(300_000) });
  expect((await post(GENERATE, undefined, { body: large })).status).toBe(413);
  expect((await post(GENERATE, { ...heart, steps: 201 })).status).toBe(400);
});

test.each([
  [['--store', 'x'], '--store is of use only with --queue.'],
  [['--queue-ca', 'x'], '--queue-ca is of use only with --queue.'],
  [['--checkpoint-every', '3'], '--checkpoint-every is of use only with --queue.'],
  [['--cors', 'example.org'], 'It must be an origin such as https://example.org, or *.'],
  [['--cors', 'https://example.org/page'], 'It must be an origin such as https://example.org, or *.'],
])('serve %j is refused: it would do nothing', async (options, message) => {
  const { code, stderr } = await command('serve', '--port', '0', ...options);
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});
