import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { queueAddress } from '../../src/fleet/address';
import { fleetJob, NAMES } from '../../src/fleet/job';
import { workerPool } from '../../src/fleet/pool';
import { openQueue } from '../../src/fleet/queue';
import { createFleetServer } from '../../src/fleet/serve';
import type { Piece } from '../../src/server/jobs/order';
import type { PictureServer } from '../../src/server/server';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';
import { until } from '../support/until';

const scratch = scratchFolder();
const MODEL = 'fluent-emoji';
const log = { info() {}, warn() {}, error() {} };

// Processes that load models.
jest.setTimeout(180_000);

describeWithRedis('workers in processes of their own', () => {
  let redis: TestRedis;
  const children: ChildProcess[] = [];
  const open: { close(): Promise<unknown> }[] = [];
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await redis.stop();
  });

  async function worker(backend: string, place: string): Promise<ChildProcess> {
    const options = { queue: redis.url, place, models: [MODEL], backend };
    const child = spawn(process.execPath, [join(__dirname, '../support/fleet-worker.cjs'), JSON.stringify(options)]);
    children.push(child);
    let told = '';
    child.stderr.on('data', data => {
      told += data;
    });
    await until(() => told.includes('ready'));
    return child;
  }

  test.each(usableBackends().filter(backend => backend !== 'cpu'))(
    'a picture whose worker is killed goes on elsewhere at its checkpoint, to the same bytes, on %s',
    async backend => {
      const place = scratch.path(`pictures-${backend}`);
      const piece: Piece = {
        request: { prompt: 'red heart', seed: 5, model: MODEL, steps: 24, scale: 1, policy: 'none' },
        output: { format: 'png' },
        previews: 0,
      };
      const job = fleetJob(piece, { model: '', user: 'anna', every: 2 });
      const queue = await openQueue({ address: queueAddress(redis.url), place });
      open.push(queue);
      const first = await worker(backend, place);
      const [added] = await queue.add([job], 4);
      const id = added!.id;
      await until(() => queue.store.has(NAMES.checkpoint(id)));
      first.kill('SIGKILL');
      expect(await queue.state(MODEL, id)).toBe('active');
      const steps: number[] = [];
      await queue.channels.on(`ertacache:fleet:events:${id}`, message => void steps.push(JSON.parse(message).done));
      await worker(backend, place);
      await until(() => steps.length > 0);
      expect(steps[0]).toBeGreaterThan(2);
      await until(async () => (await queue.state(MODEL, id)) === 'completed');
      const { runner } = await workerPool(
        { backend: backend as 'wasm' },
        log,
        join(__dirname, '../support/draw-worker.cjs'),
      );
      open.push(runner);
      const { signal } = new AbortController();
      const whole = await runner.draw([{ piece, signal, onEvent() {} }])[0]!;
      expect(await queue.store.get(NAMES.output(id, job))).toEqual(Buffer.from(whole.bytes));
      expect(await queue.store.has(NAMES.checkpoint(id))).toBe(false);
    },
  );

  test('servers on one queue: streams, partial images, pictures that are drawn once, and the board', async () => {
    await worker('wasm', 'redis');
    const serve = async (apiKeys: readonly string[] = []): Promise<PictureServer> => {
      const server = await createFleetServer({
        ...{ queue: redis.url, store: 'redis', every: 5, logLevel: 'silent', apiKeys },
      });
      open.push({ close: () => server.close(1000) });
      return server;
    };
    const [one, other] = [await serve(), await serve()];
    const ask = (server: PictureServer, body: object): Promise<Response> =>
      server.fetch(
        new Request('http://localhost/v1/images/generations', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: MODEL, seed: 3, steps: 6, policy: 'none', ...body }),
        }),
      );
    const stream = await ask(one, { prompt: 'lion', stream: true, partial_images: 2 });
    const text = await stream.text();
    expect(text.match(/event: image_generation.partial_image/g)).toHaveLength(2);
    expect(text).toContain('event: image_generation.completed');

    const [a, b] = await Promise.all([ask(one, { prompt: 'blue star' }), ask(other, { prompt: 'blue star' })]);
    const [first, second] = (await Promise.all([a.json(), b.json()])) as { data: { b64_json: string }[] }[];
    expect([a.status, b.status, first, second]).toMatchObject([
      200,
      200,
      {},
      { data: [{ b64_json: first?.data?.[0]?.b64_json }] },
    ]);
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
    open.push(queue);
    expect((await queue.counts()).get(MODEL)).toMatchObject({ completed: 2, failed: 0 });

    const board = await one.fetch(new Request('http://localhost/queue/'));
    expect([board.status, await board.text()]).toEqual([200, expect.stringContaining('Bull Dashboard')]);
    const guarded = await serve(['0123456789abcdef0123']);
    const page = (authorization: string): Promise<Response> =>
      guarded.fetch(new Request('http://localhost/queue/api/queues', { headers: { authorization } }));
    const basic = (key: string): string => `Basic ${Buffer.from(`me:${key}`).toString('base64')}`;
    expect((await page(basic('wrong'))).status).toBe(401);
    const shown = await page(basic('0123456789abcdef0123'));
    expect([shown.status, await shown.text()]).toEqual([200, expect.stringContaining(`draw-${MODEL}`)]);
  });

  test('a client that goes away stops what a worker elsewhere draws, within a forward pass', async () => {
    await worker('wasm', 'redis');
    const server = await createFleetServer({ queue: redis.url, store: 'redis', every: 5, logLevel: 'silent' });
    open.push({ close: () => server.close(0) });
    const made = await server.fetch(
      new Request('http://localhost/v1/jobs', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          id: 'long-picture-1',
          model: MODEL,
          prompt: 'lion',
          steps: 200,
          seed: 1,
          policy: 'none',
        }),
      }),
    );
    expect([made.status, await made.text()]).toEqual([expect.any(Number), expect.stringContaining('long-picture-1')]);
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
    open.push(queue);
    await until(async () => (await queue.counts()).get(MODEL)?.active === 1);
    await server.fetch(new Request('http://localhost/v1/jobs/long-picture-1/cancel', { method: 'POST' }));
    await until(async () => (await queue.counts()).get(MODEL)?.active === 0);
    expect((await queue.counts()).get(MODEL)).toMatchObject({ completed: 0, failed: 0, cancelled: 1 });
  });
});
