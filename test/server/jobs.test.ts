/** Orders, their joining, waiting, ending and keeping, with pieces that end when the test says so. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { ShapeError } from '../../src/errors';
import { scratchFolder } from '../media/pictures';
import { type DeskServer, deskServer } from './desk-server';
import { fakeRunner } from './fake-runner';
import { figure } from './running';

const scratch = scratchFolder();
const GENERATE = '/v1/images/generations';
const heart = { prompt: 'red heart', seed: 1 };
const json = async (answer: Response | Promise<Response>) => (await answer).json() as Promise<Answer>;
/** What answers may say. */
interface Answer {
  readonly [field: string]: unknown;
  readonly data: readonly { readonly id: string; readonly url: string; readonly seed: number }[];
}

/** Waits until a job is over. */
async function over({ get }: Pick<DeskServer, 'get'>, id: string): Promise<Answer> {
  for (;;) {
    const job = await json(get(`/v1/jobs/${id}`));
    if (job.completed_at !== null) return job;
    await soon();
  }
}
const soon = () => new Promise(resolve => setTimeout(resolve, 20));

describe('an equal request', () => {
  test('joins the one that runs, and the one that is done: nothing is drawn twice', async () => {
    const { runner, post } = await deskServer();
    const both = [post(GENERATE, heart), post(GENERATE, { seed: 1, prompt: 'red heart', user: 'me', n: null })];
    await runner.begunCount(1);
    await soon();
    runner.drawings[0]!.finish();
    const [a, b] = await Promise.all(both.map(json));
    expect(a).toEqual(b);
    expect(await json(post(GENERATE, heart))).toEqual(a);
    expect(runner.drawings).toHaveLength(1);
  });

  test('without a seed joins what runs, and draws anew when that is done, unless it is asked again', async () => {
    const { runner, post } = await deskServer({}, fakeRunner({ places: 4 }));
    const first = post(GENERATE, { prompt: 'lion' });
    await runner.begunCount(1);
    const second = post(GENERATE, { prompt: 'lion' });
    await soon();
    runner.drawings[0]!.finish();
    expect(await json(first)).toEqual(await json(second));
    const again = await post(GENERATE, { prompt: 'lion' }, { headers: { 'x-stainless-retry-count': '1' } });
    expect(again.headers.get('x-ertacache-joined')).toBe('true');
    const anew = post(GENERATE, { prompt: 'lion' });
    await runner.begunCount(2);
    runner.drawings[1]!.finish();
    expect((await anew).status).toBe(200);
  });

  test('is told by its Idempotency-Key, which is good for one request', async () => {
    const { runner, post } = await deskServer({}, fakeRunner({ atOnce: true }));
    const init = { headers: { 'idempotency-key': 'once' } };
    const first = await json(post(GENERATE, { prompt: 'lion' }, init));
    expect(await json(post(GENERATE, { prompt: 'lion' }, init))).toEqual(first);
    const other = await post(GENERATE, { prompt: 'tiger' }, init);
    expect([other.status, (await json(other)).error]).toEqual([
      409,
      expect.objectContaining({ code: 'idempotency_key_reused' }),
    ]);
    expect(runner.drawings).toHaveLength(1);
  });

  test('of another key joins nothing', async () => {
    const keys = ['key-of-one-0123456789', 'key-of-two-0123456789'];
    const { runner, post } = await deskServer({ apiKeys: keys }, fakeRunner({ atOnce: true }));
    for (const key of keys) {
      expect((await post(GENERATE, heart, { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
    }
    expect(runner.drawings).toHaveLength(2);
  });
});

describe('the time of a request', () => {
  const IMAGES = 'route="/v1/images/generations"';
  const told = (server: DeskServer) => figure(server, 'ertacache_request_seconds_count', IMAGES);
  const TAKES = 200;

  test.each([
    ['a stream', { stream: true }],
    ['an answer that was begun early', {}],
  ])('ends with %s, not with its head', async (_, more) => {
    const server = await deskServer({ headersAfterMs: 20 });
    const { runner, post } = server;
    const answer = await post(GENERATE, { ...heart, ...more });
    await runner.begunCount(1);
    await new Promise(resolve => setTimeout(resolve, TAKES));
    expect(await told(server)).toBe(0);
    runner.drawings[0]!.finish();
    await answer.text();
    await soon();
    expect(await told(server)).toBe(1);
    expect(await figure(server, 'ertacache_request_seconds_sum', IMAGES)).toBeGreaterThan(TAKES / 1000);
  });

  test.each([
    ['a stream', { stream: true }],
    ['an answer that was begun early', {}],
  ])('ends where the client of %s goes away', async (_, more) => {
    const server = await deskServer({ headersAfterMs: 20 });
    const { runner, post } = server;
    // Another one goes on waiting.
    void post(GENERATE, { ...heart, n: 1 });
    await runner.begunCount(1);
    const answer = await post(GENERATE, { ...heart, ...more });
    await soon();
    const before = await told(server);
    await answer.body!.cancel();
    await soon();
    expect(await told(server)).toBe(before + 1);
    runner.drawings[0]!.finish();
  });
});

describe('a client that goes away', () => {
  test('ends what it waited for; one of two does not', async () => {
    const { runner, post } = await deskServer();
    const [one, two] = [new AbortController(), new AbortController()];
    const both = [one, two].map(({ signal }) => post(GENERATE, heart, { signal }));
    await runner.begunCount(1);
    await soon();
    one.abort();
    await soon();
    expect(runner.drawings[0]!.signal.aborted).toBe(false);
    two.abort();
    await soon();
    expect(runner.drawings[0]!.signal.aborted).toBe(true);
    await Promise.allSettled(both);
    // Nobody joins what was ended.
    const anew = post(GENERATE, heart);
    await runner.begunCount(2);
    runner.drawings[1]!.finish();
    expect((await anew).status).toBe(200);
  });

  test('ends a stream', async () => {
    const { runner, post } = await deskServer();
    const stream = await post(GENERATE, { ...heart, stream: true });
    await runner.begunCount(1);
    const reader = stream.body!.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(': drawing\n\n');
    await reader.cancel();
    await soon();
    expect(runner.drawings[0]!.signal.aborted).toBe(true);
  });

  test('does not end a job that is meant to go on', async () => {
    const { runner, post, get } = await deskServer();
    const { id } = await json(post('/v1/jobs', heart));
    await runner.begunCount(1);
    runner.drawings[0]!.step(1, 4);
    expect(await json(get(`/v1/jobs/${id}`))).toMatchObject({ status: 'in_progress', progress: 25 });
    runner.drawings[0]!.finish();
    const job = await over({ get }, String(id));
    expect(job).toMatchObject({ status: 'completed', progress: 100, data: [{ seed: 1, forwards: 4 }] });
    const file = await get(new URL(job.data[0]!.url).pathname);
    expect([await file.text(), file.headers.get('content-type')]).toEqual([
      'picture of red heart with seed 1',
      'image/png',
    ]);
  });
});

test('where too many wait, more are refused, and told when to come again', async () => {
  const { runner, post } = await deskServer({ maxQueue: 2 });
  const waiting = [1, 2, 3].map(seed => post(GENERATE, { prompt: 'a', seed }));
  await runner.begunCount(1);
  await soon();
  const refused = await post(GENERATE, { prompt: 'a', seed: 4 });
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await json(refused)).error).toMatchObject({ type: 'rate_limit_error', code: 'queue_full' });
  expect((await post(GENERATE, { prompt: 'a', n: 10 })).status).toBe(400);
  for (const count of [1, 2, 3]) {
    await runner.begunCount(count);
    runner.drawings[count - 1]!.finish();
  }
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200]);
});

describe('requests that wait together', () => {
  test('are handed over when a batch comes to its end, where nothing could be added to theirs', async () => {
    const { runner, post } = await deskServer({}, fakeRunner({ together: 2 }));
    const ask = (seed: number) => post(GENERATE, { prompt: 'a', seed });
    const waiting = [ask(0)];
    await runner.begunCount(1);
    waiting.push(ask(1));
    await soon();
    runner.endings[0]!();
    await soon();
    expect(runner.batches).toEqual([1]);
    waiting.push(ask(2), ask(3), ask(4));
    await runner.begunCount(3);
    await soon();
    // No more than one batch ahead.
    expect(runner.batches).toEqual([1, 2]);
    for (let done = 0; done < 5; done++) {
      await runner.begunCount(done + 1);
      runner.drawings[done]!.finish();
    }
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(runner.batches).toEqual([1, 2, 2]);
  });

  test('are drawn as one batch where they are alike, and shared among free places', async () => {
    const { runner, post } = await deskServer({}, fakeRunner({ together: 3 }));
    const waiting = [post(GENERATE, { prompt: 'first', seed: 0 })];
    await runner.begunCount(1);
    const others = ['a', 'b', 'c', 'd'].map((prompt, seed) => ({ prompt, seed }));
    waiting.push(...others.map(body => post(GENERATE, body)), post(GENERATE, { ...heart, steps: 5 }));
    await soon();
    for (let done = 0; done < 6; done++) {
      await runner.begunCount(done + 1);
      runner.drawings[done]!.finish();
    }
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array(6).fill(200));
    expect(runner.batches).toEqual([1, 3, 1, 1]);
    // Two free workers draw two each, not one of them all.
    const two = await deskServer({}, fakeRunner({ together: 4, places: 2, atOnce: true }));
    expect((await two.post(GENERATE, { ...heart, n: 4 })).status).toBe(200);
    expect(two.runner.batches).toEqual([2, 2]);
  });

  test('stop alone, and fail alone', async () => {
    const { runner, post } = await deskServer({}, fakeRunner({ together: 3 }));
    const first = post(GENERATE, heart);
    await runner.begunCount(1);
    const leaving = new AbortController();
    const left = post(GENERATE, { prompt: 'a' }, { signal: leaving.signal });
    const [failing, kept] = ['b', 'c'].map(prompt => post(GENERATE, { prompt }));
    await soon();
    runner.drawings[0]!.finish();
    await runner.begunCount(4);
    leaving.abort();
    runner.drawings[2]!.fail(new Error('broken'));
    expect((await failing)!.status).toBe(500);
    expect(runner.drawings.map(({ signal }) => signal.aborted)).toEqual([false, true, true, false]);
    runner.drawings[3]!.finish();
    expect([(await first).status, (await kept)!.status]).toEqual([200, 200]);
    await left.catch(() => {});
    expect(runner.batches).toEqual([1, 3]);
  });
});

test('several pictures have seeds counted up, come in order, and one that fails ends all', async () => {
  const { runner, post } = await deskServer({}, fakeRunner({ places: 2 }));
  const answer = post(GENERATE, { prompt: 'a', seed: 5, n: 3, response_format: 'url' });
  await runner.begunCount(2);
  runner.drawings[1]!.finish();
  await runner.begunCount(3);
  runner.drawings[2]!.finish();
  runner.drawings[0]!.finish();
  const { data } = await json(answer);
  expect(data.map(({ seed }) => seed)).toEqual([5, 6, 7]);
  expect(data.map(({ url }) => url.replace(/^.*\//, ''))).toEqual(['0.png', '1.png', '2.png']);
  const failing = post(GENERATE, { prompt: 'b', n: 2 });
  await runner.begunCount(5);
  runner.drawings[3]!.fail(new Error('/secret/path broke'));
  const failed = await failing;
  expect(failed.status).toBe(500);
  expect(await failed.text()).not.toContain('secret');
  expect(runner.drawings[4]!.signal.aborted).toBe(true);
});

test('an answer that takes long is begun, and broken off where it fails', async () => {
  const { runner, post } = await deskServer({ headersAfterMs: 30 });
  const answer = await post(GENERATE, heart);
  expect(answer.status).toBe(200);
  runner.drawings[0]!.finish();
  expect(await json(answer)).toMatchObject({ data: [{ seed: 1 }] });
  const failing = await post(GENERATE, { prompt: 'b' });
  runner.drawings[1]!.fail(new Error('broken'));
  await expect(failing.text()).rejects.toThrow();
});

test('a job whose request was wrong is counted apart from one that failed', async () => {
  const server = await deskServer();
  const failing = async (prompt: string, error: Error): Promise<number> => {
    const answer = server.post(GENERATE, { prompt });
    await server.runner.begunCount(server.runner.drawings.length + 1);
    server.runner.drawings.at(-1)!.fail(error);
    return (await answer).status;
  };
  expect(await failing('a', new ShapeError('No picture of that size.'))).toBe(400);
  expect(await failing('b', new Error('broken'))).toBe(500);
  const counted = (status: string): Promise<number> => figure(server, 'ertacache_jobs_total', `status="${status}"`);
  expect([await counted('refused'), await counted('failed'), await counted('completed')]).toEqual([1, 1, 0]);
});

describe('jobs', () => {
  test('of an id of the client are begun once, and cancelled twice', async () => {
    const { runner, post, get } = await deskServer();
    const body = { ...heart, id: 'my-own-id' };
    const first = await post('/v1/jobs', body);
    expect([first.status, (await json(first)).id]).toEqual([202, 'my-own-id']);
    expect((await post('/v1/jobs', body)).status).toBe(200);
    expect((await post('/v1/jobs', { ...body, seed: 2 })).status).toBe(409);
    await runner.begunCount(1);
    for (const _ of [1, 2]) {
      const cancelled = await post('/v1/jobs/my-own-id/cancel');
      expect([cancelled.status, (await json(cancelled)).status]).toEqual([200, 'cancelled']);
    }
    expect(runner.drawings[0]!.signal.aborted).toBe(true);
    expect((await json(get('/v1/jobs'))).data).toHaveLength(1);
    expect((await get('/v1/jobs/my-own-id', { method: 'DELETE' })).status).toBe(200);
    expect((await get('/v1/jobs/my-own-id')).status).toBe(404);
    expect((await json(get('/v1/jobs'))).data).toEqual([]);
  });

  test('that were deleted are drawn anew for who asks again', async () => {
    const { runner, post, get } = await deskServer({}, fakeRunner({ atOnce: true }));
    const first = await json(post('/v1/jobs', heart));
    await soon();
    expect(await json(get(`/v1/jobs/${first.id}`))).toMatchObject({ status: 'completed' });
    expect((await json(post('/v1/jobs', heart))).id).toBe(first.id);
    expect((await get(`/v1/jobs/${first.id}`, { method: 'DELETE' })).status).toBe(200);
    const again = await json(post('/v1/jobs', heart));
    await soon();
    expect(again.id).not.toBe(first.id);
    expect(await json(get(`/v1/jobs/${again.id}`))).toMatchObject({ status: 'completed' });
    expect(runner.drawings).toHaveLength(2);
  });

  test('are seen by their owner alone', async () => {
    const [mine, theirs] = ['key-of-one-0123456789', 'key-of-two-0123456789'].map(key => ({
      headers: { authorization: `Bearer ${key}` },
    }));
    const { post, get } = await deskServer({
      apiKeys: ['key-of-one-0123456789', 'key-of-two-0123456789'],
    });
    await post('/v1/jobs', { ...heart, id: 'my-own-id' }, mine);
    expect((await get('/v1/jobs/my-own-id', mine)).status).toBe(200);
    expect((await get('/v1/jobs/my-own-id', theirs)).status).toBe(404);
    expect((await json(get('/v1/jobs', theirs))).data).toEqual([]);
    // The same id of another owner is another job.
    expect((await post('/v1/jobs', { prompt: 'b', id: 'my-own-id' }, theirs)).status).toBe(202);
  });

  test('send their files by parts to those who ask so', async () => {
    const { post, get } = await deskServer({}, fakeRunner({ atOnce: true }));
    await post('/v1/videos', { ...heart, model: 'fluent-emoji-video' });
    const list = async () => (await json(get('/v1/videos'))).data as unknown as { id: string; url?: string }[];
    while ((await list())[0]?.url === undefined) await soon();
    const [video] = await list();
    const whole = 'picture of red heart with seed 1';
    const size = whole.length;
    for (const path of [`/v1/videos/${video!.id}/content`, new URL(video!.url!).pathname]) {
      const ask = async (range: string, more: RequestInit['headers'] = {}, method = 'GET') => {
        const answer = await get(path, { method, headers: { range, ...more } });
        const length = answer.headers.get('content-length');
        return [answer.status, answer.headers.get('content-range'), await answer.text(), length];
      };
      const part = (first: number, last: number) => {
        const text = whole.slice(first, last + 1);
        return [206, `bytes ${first}-${last}/${size}`, text, String(text.length)];
      };
      expect(await ask('bytes=0-1')).toEqual(part(0, 1));
      expect(await ask('bytes=8-')).toEqual(part(8, size - 1));
      expect(await ask('bytes=-4')).toEqual(part(size - 4, size - 1));
      expect(await ask('bytes=-999')).toEqual(part(0, size - 1));
      expect(await ask(`bytes=3-${'9'.repeat(400)}`)).toEqual(part(3, size - 1));
      for (const range of ['', 'bytes=-', 'bytes=5-2', 'bytes=0-1,4-5', 'bytes=a-b', 'pictures=0-1']) {
        expect([range, ...(await ask(range))]).toEqual([range, 200, null, whole, String(size)]);
      }
      expect(await ask('bytes=0-1', { 'if-range': '"x"' })).toEqual([200, null, whole, String(size)]);
      expect(await ask('bytes=0-1', {}, 'HEAD')).toEqual([200, null, '', String(size)]);
      for (const range of [`bytes=${size}-`, 'bytes=-0', `bytes=${'9'.repeat(400)}-`]) {
        const [status, told, text] = await ask(range);
        expect([status, told, JSON.parse(text as string)]).toMatchObject([
          416,
          `bytes */${size}`,
          { error: { type: 'invalid_request_error', code: 'invalid_range' } },
        ]);
      }
      expect((await get(path)).headers.get('accept-ranges')).toBe('bytes');
    }
    const thumbnail = await get(`/v1/videos/${video!.id}/content?variant=thumbnail`);
    expect([thumbnail.status, await json(thumbnail)]).toMatchObject([400, { error: { param: 'variant' } }]);
    expect((await get(`/v1/videos/${video!.id}/content?variant=video`)).status).toBe(200);
  });

  test('are listed by pages', async () => {
    const { post, get } = await deskServer({ maxQueue: 10 }, fakeRunner({ atOnce: true }));
    for (const seed of [1, 2, 3]) {
      await post('/v1/jobs', { prompt: 'a', seed, id: `job-number-${seed}` });
      await soon();
    }
    expect(await json(get('/v1/jobs?order=up'))).toMatchObject({ error: { param: 'order' } });
    const first = await json(get('/v1/jobs?limit=2'));
    expect(first).toMatchObject({ has_more: true, first_id: 'job-number-3', last_id: 'job-number-2' });
    expect(await json(get(`/v1/jobs?limit=2&after=${first.last_id}`))).toMatchObject({
      has_more: false,
      data: [{ id: 'job-number-1' }],
    });
    for (const query of ['limit=0', 'limit=x', 'after=nothing'])
      expect((await get(`/v1/jobs?${query}`)).status).toBe(400);
  });
});

describe('a server that is stopped', () => {
  test('refuses new work, ends what runs in time, and leaves the rest to the next', async () => {
    const folder = scratch.path('data');
    const first = await deskServer({ folder });
    const answered = first.post(GENERATE, heart);
    await first.runner.begunCount(1);
    const waiting = first.post(GENERATE, { prompt: 'waits' });
    await first.post('/v1/jobs', { prompt: 'later', seed: 9, id: 'for-the-next' });
    const closing = first.close(60_000);
    await soon();
    expect((await first.post(GENERATE, { prompt: 'new' })).status).toBe(503);
    expect((await first.get('/readyz')).status).toBe(503);
    expect((await first.get('/healthz')).status).toBe(200);
    expect((await waiting).status).toBe(503);
    first.runner.drawings[0]!.finish();
    await closing;
    expect((await answered).status).toBe(200);

    const next = await deskServer({ folder });
    await next.runner.begunCount(1);
    expect(next.runner.drawings[0]!.piece.request).toMatchObject({ prompt: 'later', seed: 9 });
    // Time is up for this one: it is begun again, and not counted against it.
    await next.close(1);
    const last = await deskServer({ folder });
    await last.runner.begunCount(1);
    last.runner.drawings[0]!.finish();
    expect(await over(last, 'for-the-next')).toMatchObject({ status: 'completed', error: null });
  });

  test('without a word leaves its jobs too, but begins none for ever', async () => {
    const folder = scratch.path('data');
    const first = await deskServer({ folder });
    await first.post('/v1/jobs', { ...heart, id: 'ends-the-server' });
    await first.runner.begunCount(1);
    for (let start = 2; start <= 3; start++) await (await deskServer({ folder })).runner.begunCount(1);
    const last = await deskServer({ folder });
    expect(await over(last, 'ends-the-server')).toMatchObject({
      status: 'failed',
      error: { code: 'given_up', message: expect.stringContaining('ended 3 times') },
    });
    expect(last.runner.drawings).toHaveLength(0);
  });
});

describe('the data folder', () => {
  test('keeps no half removed job, and leaves alone what it does not know', async () => {
    const folder = scratch.path('data');
    const foreign = `${folder}/jobs/notes`;
    mkdirSync(foreign, { recursive: true });
    mkdirSync(`${folder}/jobs/${'0'.repeat(32)}`);
    writeFileSync(`${folder}/jobs/${'0'.repeat(32)}/0.png`, 'half');
    mkdirSync(`${folder}/jobs/${'1'.repeat(32)}`);
    writeFileSync(`${folder}/jobs/${'1'.repeat(32)}/job.json`, '{"format":"another"}');
    const { get } = await deskServer({ folder });
    expect(readdirSync(`${folder}/jobs`)).toEqual(['1'.repeat(32), 'notes']);
    expect((await json(get('/v1/jobs'))).data).toEqual([]);
  });

  test('that cannot be written to is told, without its name, and the server goes on', async () => {
    const folder = scratch.path('data');
    const { post, get, runner } = await deskServer({ folder }, fakeRunner({ atOnce: true }));
    rmSync(`${folder}/jobs`, { recursive: true });
    writeFileSync(`${folder}/jobs`, 'in the way');
    for (const ask of [() => post('/v1/jobs', heart), () => post(GENERATE, { ...heart, response_format: 'url' })]) {
      const refused = await ask();
      const text = await refused.text();
      expect([refused.status, text]).toEqual([500, expect.stringContaining('could not keep the job')]);
      expect(text).not.toContain(folder);
    }
    expect((await post(GENERATE, heart)).status).toBe(200);
    expect([(await json(get('/v1/jobs'))).data, runner.drawings.length]).toEqual([[], 1]);
  });

  test('is cleared by age and by size, the oldest first', async () => {
    const folder = scratch.path('data');
    const first = await deskServer({ folder }, fakeRunner({ atOnce: true }));
    for (const seed of [1, 2, 3]) {
      await first.post('/v1/jobs', { prompt: 'a', seed, id: `job-number-${seed}` });
      await over(first, `job-number-${seed}`);
    }
    const left = async (options: object): Promise<string[]> => {
      const { get } = await deskServer({ folder, ...options });
      return (await json(get('/v1/jobs'))).data.map(({ id }) => id);
    };
    const size = Buffer.byteLength('picture of a with seed 1');
    expect(await left({})).toHaveLength(3);
    expect(await left({ maxDisk: 2 * size })).toEqual(['job-number-3', 'job-number-2']);
    expect(await left({ keepMs: 1 })).toEqual([]);
    expect(existsSync(`${folder}/jobs`) && readdirSync(`${folder}/jobs`)).toEqual([]);
  });
});
