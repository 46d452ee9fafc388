/** Several servers on one queue, with workers that draw nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { queueAddress } from '../../src/fleet/address';
import { hashesOf } from '../../src/fleet/model-hash';
import { own } from '../../src/fleet/names';
import { openQueue } from '../../src/fleet/queue';
import { createFleetServer, type FleetServerOptions } from '../../src/fleet/serve';
import { startFleetWorker } from '../../src/fleet/worker';
import { sha256 } from '../../src/io/sha256';
import { readCatalog, type ServedModel } from '../../src/server/catalog';
import type { Job } from '../../src/server/jobs/job';
import type { Assignment, Finished } from '../../src/server/jobs/runner';
import type { PictureServer } from '../../src/server/server';
import { scratchFolder } from '../media/pictures';
import { type FakeRunner, fakeRunner } from '../server/fake-runner';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';
import { until } from '../support/until';

const MODEL = 'fluent-emoji';
const KEYS = ['0123456789abcdef0123', 'abcdef0123456789abcd'] as const;
let hash: string | undefined;
const log = { info() {}, warn() {}, error() {} };

const scratch = scratchFolder();

jest.setTimeout(120_000);

describeWithRedis('servers on one queue', () => {
  let redis: TestRedis;
  const open: { close(): Promise<unknown> }[] = [];
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
    await redis.stop();
  });

  async function serve(
    apiKeys: readonly string[] = [],
    more: Partial<FleetServerOptions> = {},
  ): Promise<PictureServer> {
    const server = await createFleetServer({
      ...{ queue: redis.url, store: 'redis', every: 5, logLevel: 'silent', apiKeys },
      ...more,
    });
    open.push({ close: () => server.close(0) });
    return server;
  }
  /** @param own who draws; its receipts name the model as it is */
  async function work(own: FakeRunner): Promise<void> {
    const [{ id, path }] = (await readCatalog([])).models as [ServedModel];
    hash ??= (await hashesOf([{ id, path }]))[id];
    const named = ({ receipt, ...rest }: Finished): Finished => ({
      ...rest,
      receipt: { ...receipt, model: { ...receipt.model, hash: hash ?? '' } },
    });
    const runner = { ...own, draw: (batch: readonly Assignment[]) => own.draw(batch).map(each => each.then(named)) };
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
    open.push(queue);
    const worker = await startFleetWorker({ queue, runner, models: [MODEL], log });
    open.push({ close: () => worker.close(0) });
  }
  const ask = (
    server: PictureServer,
    path: string,
    body?: object,
    key: string = KEYS[0],
    method = body ? 'POST' : 'GET',
  ): Promise<Response> =>
    server.fetch(
      new Request(`http://localhost${path}`, {
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        method,
        ...(body && { body: JSON.stringify(body) }),
      }),
    );
  const submit = (server: PictureServer, id: string, more: object = {}, key?: string): Promise<Response> =>
    ask(server, '/v1/jobs', { id, model: MODEL, prompt: id, seed: 1, policy: 'none', ...more }, key);
  const statusOf = async (server: PictureServer, id: string): Promise<string> =>
    ((await (await ask(server, `/v1/jobs/${id}`)).json()) as { status: string }).status;

  test('a job of one is cancelled through the other, also when the first is gone', async () => {
    const runner = fakeRunner();
    const [one, other] = [await serve(), await serve()];
    await work(runner);
    expect((await submit(one, 'the-first-job')).status).toBeLessThan(300);
    await until(() => runner.drawings.length === 1);
    await until(async () => (await ask(other, '/v1/jobs/the-first-job')).status === 200);
    const cancelled = await ask(other, '/v1/jobs/the-first-job/cancel', {});
    expect(await cancelled.json()).toMatchObject({ status: 'cancelled' });
    expect(await statusOf(one, 'the-first-job')).toBe('cancelled');
    await until(() => runner.drawings[0]!.signal.aborted);
  });

  test.each(['cancelled', 'deleted'])('a job that two servers have is %s for both', async how => {
    const runner = fakeRunner();
    const one = await serve();
    await work(runner);
    await submit(one, 'the-first-job');
    await until(() => runner.drawings.length === 1);
    // It takes up what is not over.
    const other = await serve();
    const path = '/v1/jobs/the-first-job';
    const gone =
      how === 'deleted' ? await ask(one, path, undefined, KEYS[0], 'DELETE') : await ask(one, `${path}/cancel`, {});
    expect(gone.status).toBe(200);
    await until(() => runner.drawings[0]!.signal.aborted);
    await wait(500);
    for (const server of [one, other]) {
      const found = await ask(server, path);
      if (how === 'deleted') expect(found.status).toBe(404);
      else expect(await found.json()).toMatchObject({ status: 'cancelled' });
    }
    // A name is free again when its job is gone.
    if (how === 'cancelled') return;
    expect((await submit(other, 'the-first-job')).status).toBe(202);
    // The second server may have had it drawn once more before it heard that it is gone.
    await until(async () => {
      for (const each of runner.drawings) each.finish();
      return (await statusOf(one, 'the-first-job')) === 'completed';
    });
  });

  test('nothing of a deleted job is left but the picture that others may begin with', async () => {
    const store = scratch.path('store');
    const server = await serve([], { store });
    const form = new FormData();
    const png = readFileSync(join(__dirname, '../../samples/showcase/demo.png'));
    form.set('image', new Blob([png], { type: 'image/png' }), 'me.png');
    for (const [name, value] of Object.entries({ prompt: 'lion', response_format: 'url' })) form.set(name, value);
    const leaving = new AbortController();
    const asked = server
      .fetch(new Request('http://localhost/v1/images/edits', { method: 'POST', body: form, signal: leaving.signal }))
      .catch(() => undefined);
    await until(() => readdirSync(store).length === 3);
    const { data } = (await (await ask(server, '/v1/jobs')).json()) as { data: { id: string }[] };
    expect(data).toHaveLength(1);
    expect((await ask(server, `/v1/jobs/${data[0]!.id}`, undefined, KEYS[0], 'DELETE')).status).toBe(200);
    leaving.abort();
    await asked;
    const left = readdirSync(store).filter(name => name !== 'ertacache-store.json');
    expect(left).toEqual([`${sha256(png)}.picture`]);
  });

  test('the page of queues is behind the guards of the interface', async () => {
    const server = await serve([], { onlyLoopback: true });
    const status = async (path: string, headers: Record<string, string>): Promise<number> =>
      (await server.fetch(new Request(`http://${headers.host}${path}`, { headers }))).status;
    const here = 'localhost:8080';
    for (const path of ['/queue', '/queue/', '/queue/api/queues']) {
      expect(await status(path, { host: here })).toBe(200);
      expect(await status(path, { host: 'evil.example:8080' })).toBe(403);
      expect(await status(path, { host: here, origin: 'http://evil.example' })).toBe(403);
    }
    expect(await status('/queues', { host: here })).toBe(404);
  });

  test('a stopped server loses no accepted job: the others go on with it, or the next one does', async () => {
    const runner = fakeRunner({ atOnce: true });
    const one = await serve();
    const other = await serve();
    expect((await submit(one, 'one-that-is-left')).status).toBeLessThan(300);
    await one.close(0);
    await work(runner);
    await until(async () => (await statusOf(other, 'one-that-is-left')) === 'completed');
    expect((await submit(other, 'the-last-job')).status).toBeLessThan(300);
    await other.close(0);
    const next = await serve();
    await until(async () => (await statusOf(next, 'the-last-job')) === 'completed');
    expect(runner.drawings.map(each => each.piece.request.prompt).sort()).toEqual(['one-that-is-left', 'the-last-job']);
  });

  test('what a server missed while it heard nothing is made up for', async () => {
    const runner = fakeRunner();
    const one = await serve();
    const other = await serve();
    const names = ['one-that-fails', 'one-that-is-deleted', 'one-that-is-left', 'one-that-is-stopped'];
    for (const name of names) expect((await submit(one, name)).status).toBeLessThan(300);
    const records = own('jobs');
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
    open.push(queue);
    const jobs = async (): Promise<Job[]> =>
      (await queue.redis.hvals(records)).map(text => JSON.parse(text) as Job).sort((a, b) => a.created - b.created);
    await until(async () => (await jobs()).filter(({ status }) => status === 'in_progress').length === names.length);
    for (const name of names) await until(async () => (await statusOf(other, name)) === 'in_progress');
    // As a third one changes them, while these two hear nothing.
    const [failed, deleted, left, stopped] = (await jobs()) as [Job, Job, Job, Job];
    const change = (job: Job, status: Job['status']): [string, string] => [job.key, JSON.stringify({ ...job, status })];
    await queue.redis
      .multi()
      .call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      .hset(records, ...change(failed, 'failed'))
      .set(own('job-removed', deleted.token), '1')
      .hdel(records, deleted.key)
      .hset(records, ...change(left, 'queued'))
      .hset(records, ...change(stopped, 'cancelled'))
      .exec();
    await until(async () => (await statusOf(other, names[0]!)) === 'failed');
    for (const server of [one, other]) {
      await until(async () => (await ask(server, `/v1/jobs/${names[1]}`)).status === 404);
      await until(async () => (await statusOf(server, names[3]!)) === 'cancelled');
    }
    await one.close(0);
    await work(runner);
    await until(async () => {
      for (const each of runner.drawings) each.finish();
      return (await statusOf(other, names[2]!)) === 'completed';
    });
  });

  test('keys take turns, and the users of each', async () => {
    const server = await serve(KEYS);
    for (const id of ['a1', 'a2', 'a3']) await submit(server, `picture-${id}`, { prompt: id });
    await submit(server, 'picture-c1', { prompt: 'c1', user: 'carl' });
    await submit(server, 'picture-b1', { prompt: 'b1' }, KEYS[1]);
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
    open.push(queue);
    await until(async () => (await queue.counts()).get(MODEL)?.waiting === 5);
    const runner = fakeRunner({ atOnce: true });
    await work(runner);
    await until(() => runner.drawings.length === 5);
    const drawn = runner.drawings.map(each => each.piece.request.prompt);
    expect(drawn.slice(0, 3).sort()).toEqual(['a1', 'b1', 'c1']);
    expect(drawn.slice(3)).toEqual(['a2', 'a3']);
  });

  test('a server that is stopped while Redis is away ends all the same, and its job stays', async () => {
    const server = await serve();
    expect((await submit(server, 'one-that-waits')).status).toBeLessThan(300);
    await redis.end();
    const started = performance.now();
    await server.close(0);
    expect(performance.now() - started).toBeLessThan(20_000);
    await redis.start();
    const next = await serve();
    expect(['queued', 'in_progress']).toContain(await statusOf(next, 'one-that-waits'));
  });

  test('nobody is let wait while Redis is away', async () => {
    const origins = ['https://example.org'];
    const server = await serve([], { origins });
    const based = await serve([], { origins, basePath: '/pictures' });
    const runner = fakeRunner({ atOnce: true });
    await work(runner);
    await until(async () => (await ask(server, '/readyz')).status === 200);
    await redis.stop();
    await until(async () => (await ask(server, '/readyz')).status === 503);
    const refused = await submit(server, 'one');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await refused.json()).toMatchObject({ error: { code: 'queue_away' } });
    for (const path of ['/', '/healthz', '/v1/models']) {
      expect((await ask(server, path)).status).toBe(200);
      expect((await ask(based, `/pictures${path}`)).status).toBe(200);
    }
    expect((await ask(based, '/pictures/v1/jobs')).status).toBe(503);
    // A page may read why, and when to ask again.
    const asked = (method: string): Promise<Response> =>
      server.fetch(
        new Request('http://localhost/v1/images/generations', {
          method,
          headers: { origin: origins[0]!, 'access-control-request-method': 'POST' },
        }),
      );
    const [told, preflight] = [await asked('POST'), await asked('OPTIONS')];
    expect([told.status, preflight.status]).toEqual([503, 204]);
    for (const { headers } of [told, preflight]) expect(headers.get('access-control-allow-origin')).toBe(origins[0]);
    expect(told.headers.get('access-control-expose-headers')).toContain('retry-after');
    expect((await ask(server, '/queue/api/queues')).status).toBe(503);
    redis = await startRedis();
  });
});
