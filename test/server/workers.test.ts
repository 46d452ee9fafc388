/** The processes that draw: what stops them, what becomes of them when they end, and that they hold no more each time. */
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import OpenAI from 'openai';
import pino from 'pino';
import { readCatalog } from '../../src/server/catalog';
import { batchKey, orderSchema, type Piece, piecesOf } from '../../src/server/jobs/order';
import type { Assignment, Finished, Runner } from '../../src/server/jobs/runner';
import type { FarTarget } from '../../src/server/workers/far-target';
import { type PoolOptions, processPool } from '../../src/server/workers/pool';
import { usableBackends } from '../support/backends';
import { figure, type Running, start, WORKER } from './running';

jest.setTimeout(240_000);

const log = pino({ level: 'silent' });

const pools: Runner[] = [];
afterEach(async () => {
  jest.useRealTimers();
  await Promise.all(pools.splice(0).map(each => each.close()));
});

async function pool(count: number, { script = WORKER, ...more }: Partial<PoolOptions> = {}): Promise<Runner> {
  const { models } = await readCatalog([]);
  const made = processPool({
    count,
    log,
    script,
    ...more,
    begin: {
      type: 'begin',
      backend: usableBackends()[0]!,
      threads: 1,
      verbose: false,
      models: Object.fromEntries(models.map(({ id, path }) => [id, path])),
      policies: {},
      held: 1,
    },
  });
  pools.push(made);
  return made;
}

/** A picture in so many steps, each computed. */
function piece(steps: number, more: object = {}, format = 'png'): Piece {
  const order = orderSchema.parse({
    request: { prompt: 'red heart', steps, policy: 'none', ...more },
    count: 1,
    output: { format },
    previews: 0,
  });
  return piecesOf(order)[0]!;
}

const never = new AbortController().signal;
/** One piece alone. */
function draw(runner: Runner, piece: Piece, signal = never, onEvent: Assignment['onEvent'] = () => {}) {
  return runner.draw([{ piece, signal, onEvent }])[0]!;
}

test('a process that cannot be started is tried again', async () => {
  // The module itself, which the pool calls.
  const processes = jest.requireActual<typeof import('node:child_process')>('node:child_process');
  const { fork } = processes;
  const tried = jest
    .spyOn(processes, 'fork')
    .mockImplementationOnce((script, options) => fork(script, { ...(options as object), execPath: '/nothing/node' }));
  const runner = await pool(1);
  tried.mockRestore();
  expect((await draw(runner, piece(2))).receipt.schedule).toBe('##');
  expect(runner.health().workers).toMatchObject([{ restarts: 1 }]);
});

test('a piece that is stopped ends within one forward pass, and its worker draws the next', async () => {
  const runner = await pool(1);
  const controller = new AbortController();
  let after = 0;
  const stopped = draw(runner, piece(30), controller.signal, event => {
    if (event.type !== 'step') return;
    if (controller.signal.aborted) after += event.forwards;
    if (event.done === 3) controller.abort();
  });
  await expect(stopped).rejects.toMatchObject({ code: 'interrupted' });
  expect(after).toBeLessThanOrEqual(1);
  // One that is stopped before it has a worker is not begun.
  const running = draw(runner, piece(2));
  const late = new AbortController();
  const waiting = draw(runner, piece(2), late.signal);
  late.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'interrupted' });
  expect((await running).receipt.schedule).toBe('##');
});

test('a question that is stopped waits for no worker', async () => {
  const runner = await pool(1);
  const [drawing, asking] = [new AbortController(), new AbortController()];
  let done = 0;
  const running = draw(runner, piece(200), drawing.signal, event => {
    if (event.type === 'step') ({ done } = event);
  });
  running.catch(() => {});
  const asked = runner.ask!({ target: {} as FarTarget, bytes: new Uint8Array(), signal: asking.signal });
  asking.abort();
  await expect(asked).rejects.toMatchObject({ code: 'interrupted' });
  expect(done).toBeLessThan(50);
  drawing.abort();
  await expect(running).rejects.toMatchObject({ code: 'interrupted' });
});

test('what one piece makes is the same on every worker, and leaves nothing behind', async () => {
  const runner = await pool(2);
  // Each has loaded the model.
  while (runner.health().workers.some(({ state }) => state !== 'idle')) await wait(50);
  const all = await Promise.all([1, 1, 1, 1, 2, 2].map(seed => draw(runner, piece(3, { seed }))));
  const pictures = all.map(({ bytes }) => Buffer.from(bytes).toString('base64'));
  expect(new Set(pictures.slice(0, 4)).size).toBe(1);
  expect(new Set(pictures).size).toBe(2);
  const tensors = () => runner.health().workers.map(worker => worker.tensors);
  const before = tensors();
  await Promise.all([3, 4, 5, 6].map(seed => draw(runner, piece(3, { seed }))));
  expect(tensors()).toEqual(before);
  // Another model takes the place of the first, which is given back.
  const clip = await draw(runner, piece(2, { model: 'fluent-emoji-video' }, 'webp'));
  expect([clip.frames, clip.fps]).toEqual([8, 5]);
});

test('pieces of one batch have the files and receipts of each alone, and one that is stopped stops no other', async () => {
  const runner = await pool(1, { together: () => 3 });
  const pieces = [
    piece(4, { seed: 1 }),
    piece(4, { seed: 2, prompt: 'lion' }),
    piece(4, { seed: 3, scale: 2 }, 'webp'),
  ];
  expect(new Set(pieces.map(batchKey)).size).toBe(1);
  const alone: Finished[] = [];
  for (const each of pieces) alone.push(await draw(runner, each));
  const controller = new AbortController();
  const told = pieces.map(() => [] as string[]);
  const drawn = runner.draw(
    pieces.map((each, row) => ({
      piece: each,
      signal: row === 1 ? controller.signal : never,
      onEvent(event) {
        if (event.type === 'step') told[row]!.push(`${event.done} of ${event.total}`);
        if (row === 0 && told[0]!.length === 2) controller.abort();
      },
    })),
  );
  await expect(drawn[1]).rejects.toMatchObject({ code: 'interrupted' });
  expect(told[0]!.length).toBeLessThan(4);
  for (const row of [0, 2]) {
    expect(await drawn[row]).toEqual({ ...alone[row], seconds: expect.any(Number) });
    expect(told[row]).toEqual(['1 of 4', '2 of 4', '3 of 4', '4 of 4']);
  }
  // When nobody waits for a part of it any more, all of it ends.
  const [one, two] = [new AbortController(), new AbortController()];
  let steps = 0;
  const stopped = runner.draw(
    [one, two].map(({ signal }, row) => ({
      piece: piece(60, { seed: row }),
      signal,
      onEvent: event => {
        if (event.type !== 'step' || row !== 0) return;
        steps++;
        if (event.done === 1) one.abort();
      },
    })),
  );
  await expect(stopped[0]).rejects.toMatchObject({ code: 'interrupted' });
  two.abort();
  await expect(stopped[1]).rejects.toMatchObject({ code: 'interrupted' });
  expect(steps).toBeLessThan(60);
  // What cannot be drawn as one is drawn piece by piece, so that none fails for another's sake.
  const [bad, good] = runner.draw(
    [piece(4, { size: { width: 8 } }), pieces[0]!].map(each => ({ piece: each, signal: never, onEvent() {} })),
  );
  await expect(bad).rejects.toThrow('draws pictures of one size');
  expect((await good)!.bytes).toEqual(alone[0]!.bytes);
});

test('a worker that is killed fails its own piece with a reason, and is started again', async () => {
  const runner = await pool(2);
  const doomed = draw(runner, piece(30), never, event => {
    if (event.type === 'step' && event.done === 2) {
      const { pid } = runner.health().workers.find(({ state }) => state === 'busy')!;
      process.kill(pid!, 'SIGKILL');
    }
  });
  await expect(doomed).rejects.toThrow('The process that draws is gone: it ended with SIGKILL.');
  const all = await Promise.all([1, 2, 3].map(seed => draw(runner, piece(2, { seed }))));
  expect(all).toHaveLength(3);
  while (runner.health().workers.every(({ restarts }) => restarts === 0)) await new Promise(setImmediate);
});

test('a batch is handed over before the one that is drawn ends, and survives the end of its worker', async () => {
  const runner = await pool(1);
  await draw(runner, piece(1));
  let ahead: Promise<Finished> | undefined;
  let isDone = false;
  const [first] = runner.draw([{ piece: piece(6), signal: never, onEvent() {} }], () => {
    expect(isDone).toBe(false);
    ahead = draw(runner, piece(2, { seed: 2 }));
  });
  await first;
  isDone = true;
  expect((await ahead!).receipt.schedule).toBe('##');
  // One that is stopped before it is begun is told so while the other goes on.
  const controller = new AbortController();
  let stopped: Promise<unknown> | undefined;
  const [second] = runner.draw([{ piece: piece(6), signal: never, onEvent() {} }], () => {
    stopped = expect(draw(runner, piece(2), controller.signal)).rejects.toMatchObject({ code: 'interrupted' });
    controller.abort();
  });
  expect((await second)!.receipt.schedule).toBe('######');
  await stopped;
  const [doomed] = runner.draw([{ piece: piece(6), signal: never, onEvent() {} }], () => {
    ahead = draw(runner, piece(3, { seed: 3 }));
    process.kill(runner.health().workers[0]!.pid!, 'SIGKILL');
  });
  await expect(doomed).rejects.toThrow('The process that draws is gone');
  expect((await ahead!).receipt).toMatchObject({ seed: 3, schedule: '###' });
});

test('pieces whose worker is killed while it draws them as one are drawn each alone', async () => {
  const runner = await pool(1, { together: () => 3 });
  let isKilled = false;
  const drawn = runner.draw(
    [1, 2, 3].map(seed => ({
      piece: piece(4, { seed }),
      signal: never,
      onEvent() {
        if (!isKilled) process.kill(runner.health().workers[0]!.pid!, 'SIGKILL');
        isKilled = true;
      },
    })),
  );
  expect((await Promise.all(drawn)).map(({ receipt }) => receipt.seed)).toEqual([1, 2, 3]);
});

test('one that ends again and again is given up, and says so', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick'] });
  const runner = await pool(1, { script: join(__dirname, '../support/ends-at-once.cjs') });
  const waiting = draw(runner, piece(2));
  const refused = expect(waiting).rejects.toThrow('is not started again');
  while (runner.health().workers[0]!.state !== 'stopped') {
    jest.advanceTimersByTime(1000);
    await new Promise(setImmediate);
  }
  jest.useRealTimers();
  await refused;
  await expect(runner.begun()).rejects.toThrow('Nothing can be drawn');
  expect(runner.health()).toMatchObject({ ready: false, faults: [expect.stringContaining('8 times in a row')] });
  await expect(draw(runner, piece(2))).rejects.toThrow('is not started again');
});

describe('over HTTP', () => {
  let running: Running;
  beforeAll(async () => {
    running = await start();
  });
  afterAll(() => running?.end());
  const computed = () => figure(running, 'ertacache_forwards_computed_total');
  const idle = async (): Promise<void> => {
    while ((await figure(running, 'ertacache_running')) > 0) await new Promise(resolve => setTimeout(resolve, 20));
  };

  test('an aborted request of the official client stops its work; a repeated one adds none', async () => {
    const client = new OpenAI({ baseURL: `${running.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const controller = new AbortController();
    const asked = { prompt: 'lion', seed: 1, steps: 200, policy: 'none' } as OpenAI.ImageGenerateParamsNonStreaming;
    const aborted = client.images.generate(asked, { signal: controller.signal });
    // The client's own words, or those of `fetch` where the headers of the answer were there already.
    const refused = expect(aborted).rejects.toThrow(/(Request|operation) was aborted/);
    while ((await computed()) < 2) await new Promise(resolve => setTimeout(resolve, 20));
    controller.abort();
    await refused;
    await idle();
    const spent = await computed();
    expect(spent).toBeLessThan(200);
    const quick = { ...asked, steps: 3 } as OpenAI.ImageGenerateParamsNonStreaming;
    const first = await client.images.generate(quick);
    expect(await computed()).toBe(spent + 3);
    expect(await client.images.generate(quick)).toEqual(first);
    expect(await computed()).toBe(spent + 3);
  });

  test('the figures tell of what was drawn', async () => {
    expect((await running.post('/v1/images/generations', { prompt: 'key', seed: 1, forwards: 15 })).status).toBe(200);
    const [before, reused] = [await computed(), await figure(running, 'ertacache_forwards_reused_total')];
    expect(before).toBeGreaterThan(10);
    expect(reused).toBeGreaterThan(10);
    expect(await figure(running, 'ertacache_worker_tensors')).toBeGreaterThan(0);
    expect(await figure(running, 'ertacache_request_seconds_count', 'route="/v1/images/generations"')).toBeGreaterThan(
      1,
    );
    expect(await figure(running, 'ertacache_ready')).toBe(1);
  });
});
