import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { UsageError } from '../../src/errors';
import { queueAddress } from '../../src/fleet/address';
import { type FleetJob, fleetJob, jobId, NAMES, resultSchema } from '../../src/fleet/job';
import { KEYS, PREFIX, queueOf } from '../../src/fleet/names';
import { type FleetQueue, openQueue } from '../../src/fleet/queue';
import type { FileStore } from '../../src/fleet/store/store';
import { type FleetWorker, startFleetWorker } from '../../src/fleet/worker';
import { workersOf } from '../../src/fleet/workers';
import { sha256 } from '../../src/io/sha256';
import type { Piece } from '../../src/server/jobs/order';
import type { Runner } from '../../src/server/jobs/runner';
import { scratchFolder } from '../media/pictures';
import { type FakeRunner, fakeRunner } from '../server/fake-runner';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';
import { until } from '../support/until';
import { command } from '../weights/command';

const scratch = scratchFolder();
const log = { info: jest.fn(), warn: jest.fn(), error: jest.fn() };

const piece = (prompt: string, seed = 1, model = 'toy'): Piece => ({
  request: { prompt, seed, model, scale: 1, policy: 'none' },
  output: { format: 'png' },
  previews: 0,
});
const job = (prompt: string, { user = 'anna', model = 'toy', seed = 1 } = {}): FleetJob =>
  fleetJob(piece(prompt, seed, model), { model: '', user, every: 2 });

jest.setTimeout(120_000);

test('a job is known by what decides its bytes, and by nothing else', () => {
  const id = jobId(job('lion'));
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(jobId(fleetJob({ ...piece('lion'), previews: 3 }, { model: '', user: 'bob', every: 9 }))).toBe(id);
  const others = [job('lion', { seed: 2 }), job('key'), job('lion', { model: 'b' }), { ...job('lion'), model: 'hash' }];
  expect(new Set([id, ...others.map(jobId)]).size).toBe(5);
  expect(jobId({ ...job('lion'), ertacache: '9.9.9' })).not.toBe(id);
  // What a policy says counts, not only what it is called.
  const named = ['a', 'b'].map(policy => jobId({ ...job('lion'), policy }));
  expect(new Set([id, ...named]).size).toBe(3);
});

test('an address is checked, and its password is not told', () => {
  expect(queueAddress('rediss://u:secret@host:6380/2').shown).toBe('rediss://host:6380/2');
  for (const wrong of ['localhost:6379', 'http://host', 'redis://', 'redis://u:secret@host/x']) {
    expect(() => queueAddress(wrong)).toThrow(UsageError);
    expect(() => queueAddress(wrong)).not.toThrow('secret');
  }
});

describeWithRedis('a queue on Redis', () => {
  let redis: TestRedis;
  const open: { close(): Promise<unknown> }[] = [];
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
    await redis.stop();
  });

  async function queueAt(place = 'redis'): Promise<FleetQueue> {
    const queue = await openQueue({ address: queueAddress(redis.url), place });
    open.push(queue);
    return queue;
  }
  async function worker(runner: Runner, models: readonly string[] = ['toy'], place = 'redis'): Promise<FleetWorker> {
    const started = await startFleetWorker({ queue: await queueAt(place), runner, models, log });
    open.push({ close: () => started.close(0) });
    return started;
  }
  const promptsOf = (runner: FakeRunner): string[] => runner.drawings.map(each => each.piece.request.prompt);

  test('what is asked for is drawn once, kept under its hash, and told of', async () => {
    const queue = await queueAt(scratch.path('pictures'));
    const runner = fakeRunner({ atOnce: true, places: 2 });
    await worker(runner, ['toy'], scratch.path('pictures'));
    const told: string[] = [];
    await queue.channels.on('ertacache:fleet:over', message => void told.push(message));
    const jobs = [job('lion'), job('key'), job('lion', { user: 'bob' })];
    const added = await queue.add(jobs, 4);
    expect(added.map(({ state }) => state)).toEqual(['unknown', 'unknown', 'unknown']);
    expect(added[2]!.id).toBe(added[0]!.id);
    await until(() => told.length === 2);
    expect(promptsOf(runner).sort()).toEqual(['key', 'lion']);
    const { id } = added[0]!;
    expect(String(await queue.store.get(NAMES.output(id, jobs[0]!)))).toBe('picture of lion with seed 1');
    const result = resultSchema.parse(JSON.parse(String(await queue.store.get(NAMES.result(id)))));
    expect(result).toMatchObject({ bytes: 27, receipt: { prompt: 'lion', seed: 1 } });
    expect((await queue.add([job('lion')], 4))[0]!.state).toBe('completed');
    // Its picture is gone: it is drawn again.
    await queue.store.remove(NAMES.result(id));
    expect((await queue.add([job('lion')], 4))[0]!.state).toBe('unknown');
    await until(() => told.length === 3);
    expect((await queue.counts()).get('toy')).toMatchObject({ completed: 2, failed: 0, waiting: 0, active: 0 });
    expect(await queue.redis.hgetall(KEYS.users)).toEqual({});
  });

  test('the first priority goes first, users take turns, and each keeps to its order', async () => {
    const queue = await queueAt();
    await queue.add(
      ['a1', 'a2', 'a3', 'a4'].map(prompt => job(prompt, { user: 'anna' })),
      4,
    );
    await queue.add(
      ['b1', 'b2'].map(prompt => job(prompt, { user: 'bob' })),
      4,
    );
    await queue.add([job('later')], 7);
    await queue.add([job('urgent', { user: 'carl' })], 0);
    const runner = fakeRunner({ atOnce: true });
    await worker(runner);
    await until(() => runner.drawings.length === 8);
    expect(promptsOf(runner)).toEqual(['urgent', 'a1', 'b1', 'a2', 'b2', 'a3', 'a4', 'later']);
  });

  test('a worker keeps to the models that it holds, and turns to others when there is nothing else', async () => {
    const queue = await queueAt();
    const jobs = ['x', 'y'].flatMap(model => ['1', '2', '3'].map(n => job(`${model}${n}`, { model })));
    await queue.add([jobs[0]!, jobs[3]!, jobs[1]!, jobs[4]!, jobs[2]!, jobs[5]!], 4);
    const runner = fakeRunner({ atOnce: true });
    const held: string[] = [];
    const health = (): ReturnType<Runner['health']> => ({
      ...{ ready: true, faults: [] },
      workers: [{ state: 'idle', memory: 0, tensors: 0, restarts: 0, models: held }],
    });
    const draw: Runner['draw'] = batch => {
      held.splice(0, 1, batch[0]!.piece.request.model);
      return runner.draw(batch);
    };
    await worker({ ...runner, health, draw }, ['x', 'y']);
    await until(() => runner.drawings.length === 6);
    const models = promptsOf(runner).map(prompt => prompt[0]);
    expect(models.filter((model, i) => model !== models[i - 1])).toHaveLength(2);
  });

  test('a job that fails is tried three times and kept; one that cannot be drawn is not tried again', async () => {
    const queue = await queueAt();
    const runner = fakeRunner();
    const draw: Runner['draw'] = ([each]) => {
      runner.drawings.push({ piece: each!.piece } as never);
      const error = each!.piece.request.prompt === 'wrong' ? new UsageError('No such size.') : new Error('It broke.');
      return [Promise.reject(error)];
    };
    await worker({ ...runner, draw });
    const [poisoned, wrong] = await queue.add([job('poisoned'), job('wrong')], 4);
    await until(async () => (await queue.counts()).get('toy')?.failed === 2);
    expect(promptsOf(runner).sort()).toEqual(['poisoned', 'poisoned', 'poisoned', 'wrong']);
    expect(await queue.fault('toy', poisoned!.id)).toEqual({ code: 'failure', message: 'It broke.' });
    expect(await queue.fault('toy', wrong!.id)).toEqual({ code: 'usage', message: 'No such size.' });
    expect((await queue.failed(10)).map(({ attempts }) => attempts).sort()).toEqual([1, 3]);
    expect(await queue.retry([poisoned!.id])).toBe(1);
    await until(() => runner.drawings.length === 7);
  });

  test('cancelling reaches a job that waits, and one that another machine draws', async () => {
    const queue = await queueAt();
    const runner = fakeRunner();
    await worker(runner);
    const told: string[] = [];
    await queue.channels.on('ertacache:fleet:over', message => void told.push(JSON.parse(message).state));
    const added = await queue.add([job('drawn'), job('waits')], 4);
    await runner.begunCount(1);
    expect(await queue.cancel(added[1]!.id)).toBe(true);
    await until(() => told.length === 1);
    expect(await queue.cancel(added[0]!.id)).toBe(true);
    await until(() => told.length === 2);
    expect(runner.drawings[0]!.signal.aborted).toBe(true);
    expect(runner.drawings).toHaveLength(1);
    expect(await queue.cancel(added[0]!.id)).toBe(false);
    expect(await queue.fault('toy', added[0]!.id)).toMatchObject({ code: 'cancelled' });
    expect((await queue.counts()).get('toy')).toMatchObject({ failed: 0, cancelled: 1 });
    expect(await queue.failed(10)).toMatchObject([{ id: added[0]!.id, isCancelled: true }]);
    // What was stopped is not among all that failed; its own name takes it up again.
    const place = ['--queue', redis.url];
    expect((await command('queue', 'status', ...place)).stdout).toMatch(/0 failed, 1 cancelled\n.*^cancelled /ms);
    expect(await command('queue', 'retry', ...place)).toMatchObject({
      stdout: '0 wait again\n',
      stderr: 'Not among them: 1 cancelled; to retry what was cancelled, give its id.\n',
    });
    expect(await queue.retry([added[0]!.id])).toBe(1);
    await runner.begunCount(2);
  });

  test('a job that two wait for is stopped when both have let go', async () => {
    const queue = await queueAt();
    const runner = fakeRunner();
    await worker(runner);
    const id = (await queue.add([job('lion')], 4))[0]!.id;
    await queue.add([job('lion', { user: 'bob' })], 4);
    await runner.begunCount(1);
    await queue.letGo('toy', id);
    await wait(100);
    expect(runner.drawings[0]!.signal.aborted).toBe(false);
    await queue.letGo('toy', id);
    await until(() => runner.drawings[0]!.signal.aborted);
  });

  test('a worker that is closed gives its job back, and the next one goes on at its checkpoint', async () => {
    const queue = await queueAt();
    const first = fakeRunner();
    const begun: (Uint8Array | undefined)[] = [];
    const watching = (runner: FakeRunner): Runner => ({
      ...runner,
      draw(batch) {
        begun.push(batch[0]!.checkpoint?.last);
        batch[0]!.onEvent({ type: 'checkpoint', bytes: Buffer.from('so far') });
        return runner.draw(batch);
      },
    });
    const closing = await startFleetWorker({ queue: await queueAt(), runner: watching(first), models: ['toy'], log });
    const id = (await queue.add([job('lion')], 4))[0]!.id;
    await first.begunCount(1);
    await until(() => queue.store.has(NAMES.checkpoint(id)));
    await closing.close(0);
    expect(await queue.state('toy', id)).toBe('waiting');
    await worker(watching(fakeRunner({ atOnce: true })));
    await until(async () => (await queue.state('toy', id)) === 'completed');
    expect(begun.map(bytes => bytes && String(bytes))).toEqual([undefined, 'so far']);
    expect(await queue.store.has(NAMES.checkpoint(id))).toBe(false);
  });

  test('Redis may be away for a while: nothing is lost, and what waits goes on', async () => {
    const queue = await queueAt();
    const runner = fakeRunner();
    await worker(runner);
    const [first] = await queue.add([job('one'), job('two')], 4);
    await runner.begunCount(1);
    await redis.restart();
    runner.drawings[0]!.finish();
    await runner.begunCount(2);
    runner.drawings[1]!.finish();
    await until(async () => (await queue.counts()).get('toy')?.completed === 2);
    expect(await queue.state('toy', first!.id)).toBe('completed');
  });

  test('a worker whose store takes nothing gives its job back untried, and goes on when it can', async () => {
    const queue = await queueAt();
    let isFull = true;
    const store = {
      ...queue.store,
      async put(name: string, bytes: Uint8Array) {
        if (isFull) throw new Error('ENOSPC: no space left on device');
        await queue.store.put(name, bytes);
      },
    };
    const runner = fakeRunner({ atOnce: true });
    const started = await startFleetWorker({ queue: { ...(await queueAt()), store }, runner, models: ['toy'], log });
    open.push({ close: () => started.close(0) });
    log.error.mockClear();
    await queue.add([job('lion'), job('key')], 4);
    await until(() => log.error.mock.calls.length > 0);
    expect(log.error.mock.calls[0]).toEqual([
      { error: expect.stringMatching(/^What is drawn cannot be kept in .*no space left on device$/) },
      'no job is taken until the store can be used again',
    ]);
    await wait(1200);
    expect(runner.drawings).toHaveLength(1);
    expect((await queue.counts()).get('toy')).toMatchObject({ waiting: 2, active: 0, failed: 0, completed: 0 });
    isFull = false;
    await until(async () => (await queue.counts()).get('toy')?.completed === 2);
    expect(runner.drawings).toHaveLength(3);
  });

  test.each(['has', 'get'] as const)('a store that does not answer for a while fails no job (%s)', async asked => {
    const queue = await queueAt();
    let isAway = true;
    const ask = <T>(work: () => Promise<T>): Promise<T> =>
      isAway ? Promise.reject(new Error('connect ECONNREFUSED')) : work();
    const { store } = queue;
    const far = { ...store, [asked]: (name: string) => ask<unknown>(() => store[asked](name)) } as FileStore;
    const runner = fakeRunner({ atOnce: true });
    const started = await startFleetWorker({
      queue: { ...(await queueAt()), store: far },
      runner,
      models: ['toy'],
      log,
    });
    open.push({ close: () => started.close(0) });
    log.error.mockClear();
    const bytes = Buffer.from('a picture');
    const hash = sha256(bytes);
    await store.put(NAMES.picture(hash), bytes);
    await store.put(NAMES.lora(hash), bytes);
    const init = { path: 'image', sha256: hash, strength: 0.5 };
    const loras = [{ path: 'a.safetensors', sha256: hash, scale: 1 }];
    const edit: Piece = { ...piece('key'), request: { ...piece('key').request, init, loras }, picture: hash };
    await queue.add([job('lion'), fleetJob(edit, { model: '', user: 'anna', every: 2 })], 4);
    await until(() => log.error.mock.calls.length > 0);
    expect(log.error.mock.calls[0]?.[0]).toEqual({ error: 'What lies in redis cannot be read: connect ECONNREFUSED' });
    // Longer than all tries of a job.
    await wait(6000);
    expect((await queue.counts()).get('toy')).toMatchObject({ waiting: 2, active: 0, delayed: 0, failed: 0 });
    isAway = false;
    await until(async () => (await queue.counts()).get('toy')?.completed === 2);
    expect(runner.drawings).toHaveLength(2);
  });

  test.each(['is gone', 'is an empty one'])(
    'where the folder of the store %s, nothing is drawn or kept there, and no job is lost',
    async what => {
      const place = scratch.path(`share-${what.length}`);
      const away = `${place}-away`;
      const queue = await queueAt(place);
      const runner = fakeRunner();
      await worker(runner, ['toy'], place);
      log.error.mockClear();
      // One is drawn while the share goes, the other waits; a LoRA is in the store that is away.
      const bytes = Buffer.from('a LoRA');
      const hash = sha256(bytes);
      await queue.store.put(NAMES.lora(hash), bytes);
      const loras = [{ path: 'a.safetensors', sha256: hash, scale: 1 }];
      const styled: Piece = { ...piece('key'), request: { ...piece('key').request, loras } };
      await queue.add([job('lion'), fleetJob(styled, { model: '', user: 'anna', every: 2 })], 4);
      await runner.begunCount(1);
      renameSync(place, away);
      if (what === 'is an empty one') mkdirSync(place);
      runner.drawings[0]!.finish();
      await until(() => log.error.mock.calls.length > 0);
      expect(log.error.mock.calls[0]?.[0]).toEqual({
        error: expect.stringMatching(/is no longer the store of this queue: its ertacache-store\.json is gone/),
      });
      // Longer than it takes to look again.
      await wait(6000);
      expect(runner.drawings).toHaveLength(1);
      expect(existsSync(place) ? readdirSync(place) : []).toEqual([]);
      expect((await queue.counts()).get('toy')).toMatchObject({ waiting: 2, active: 0, delayed: 0, failed: 0 });
      await expect(queue.store.put('a', Buffer.from('a'))).rejects.toThrow('is no longer the store');
      rmSync(place, { recursive: true, force: true });
      renameSync(away, place);
      await runner.begunCount(2);
      runner.drawings[1]!.finish();
      await runner.begunCount(3);
      runner.drawings[2]!.finish();
      await until(async () => (await queue.counts()).get('toy')?.completed === 2);
      expect(await queue.store.has(NAMES.output(jobId(job('lion')), job('lion')))).toBe(true);
    },
  );

  test('a job that waits is not begun where its store is gone', async () => {
    const place = scratch.path('gone');
    const queue = await queueAt(place);
    const runner = fakeRunner({ atOnce: true });
    await worker(runner, ['toy'], place);
    renameSync(place, `${place}-away`);
    log.error.mockClear();
    await queue.add([job('lion')], 4);
    await until(() => log.error.mock.calls.length > 0);
    expect([runner.drawings.length, existsSync(place)]).toEqual([0, false]);
    renameSync(`${place}-away`, place);
    await until(async () => (await queue.counts()).get('toy')?.completed === 1);
  });

  test('a job that a worker is handed once more is held twice, until each has ended', async () => {
    const queue = await queueAt();
    const runner = fakeRunner({ places: 2 });
    const started = await worker(runner);
    const [added] = await queue.add([job('lion')], 4);
    await until(() => runner.drawings.length === 1);
    // As after an outage that was longer than a lock lives.
    await queue.redis.del(`${PREFIX}:${queueOf('toy')}:${added!.id}:lock`);
    await until(() => runner.drawings.length === 2);
    expect(started.running()).toBe(2);
    runner.drawings[0]!.fail(new Error('of the first'));
    await until(() => started.running() === 1);
    expect(await queue.cancel(added!.id)).toBe(true);
    await until(() => runner.drawings[1]!.signal.aborted);
    await until(async () => (await queue.fault('toy', added!.id))?.code === 'cancelled');
  });

  test('a worker that begins one job while another ends says that it draws no more than it has places', async () => {
    const queue = await queueAt();
    const runner = fakeRunner();
    const draw: Runner['draw'] = (batch, onEnding) => {
      setTimeout(() => onEnding?.(), 10);
      return runner.draw(batch);
    };
    const started = await worker({ ...runner, draw });
    await queue.add([job('lion'), job('key')], 4);
    await until(() => started.running() === 2);
    const said = async (): Promise<number | undefined> => (await workersOf(queue))[0]?.running;
    await until(async () => (await said()) !== 0);
    expect(await said()).toBe(1);
  });

  test('a worker with nothing to do ends at once while Redis is away', async () => {
    const started = await startFleetWorker({ queue: await queueAt(), runner: fakeRunner(), models: ['toy'], log });
    await redis.end();
    // Longer than it takes to ask for a job.
    await wait(1000);
    const since = performance.now();
    await started.close(30_000);
    expect(performance.now() - since).toBeLessThan(5000);
  });

  test('a grace longer than timers take is as long as they take', async () => {
    const queue = await queueAt();
    const runner = fakeRunner();
    const started = await worker(runner);
    const [added] = await queue.add([job('lion')], 4);
    await until(() => runner.drawings.length === 1);
    const closed = started.close(30 * 24 * 3_600_000);
    await wait(300);
    expect(runner.drawings[0]!.signal.aborted).toBe(false);
    runner.drawings[0]!.finish();
    await closed;
    expect(await queue.state('toy', added!.id)).toBe('completed');
  });

  test('unfinished jobs of a user are counted once each, however they come and go', async () => {
    const [queue, other] = [await queueAt(), await queueAt()];
    const runner = fakeRunner();
    const lion = job('lion');
    const counted = async (): Promise<Record<string, string>> => queue.redis.hgetall(KEYS.users);
    // Two who ask for the same at the same time.
    await Promise.all([queue, other, queue, other].map(each => each.add([lion], 4)));
    expect(await counted()).toEqual({ anna: '1' });
    await worker(runner);
    await runner.begunCount(1);
    await queue.add([job('key')], 4);
    runner.drawings[0]!.fail(new UsageError('It cannot be drawn.'));
    await until(async () => (await queue.fault('toy', jobId(lion))) !== undefined);
    await until(async () => (await counted()).anna === '1');
    // One that is tried again takes no other's place.
    await queue.retry([jobId(lion)]);
    for (const i of [1, 2]) {
      await runner.begunCount(i + 1);
      runner.drawings[i]!.finish();
    }
    await until(async () => (await queue.counts()).get('toy')?.completed === 2);
    await until(async () => Object.keys(await counted()).length === 0);
    expect(await queue.redis.hgetall(KEYS.counted)).toEqual({});
  });

  test('what waits is listed, and a user can be cancelled', async () => {
    const queue = await queueAt();
    await queue.add([job('lion'), job('key')], 4);
    await queue.add([job('star', { user: 'bob' })], 4);
    expect(await queue.unfinished(10)).toEqual(
      ['lion', 'star', 'key'].map(prompt => ({
        ...{ id: jobId(job(prompt)), model: 'toy', prompt, state: 'waiting' },
        user: prompt === 'star' ? 'bob' : 'anna',
      })),
    );
    expect(await queue.unfinished(1)).toHaveLength(1);
    expect(await queue.cancelOf('anna')).toBe(2);
    expect((await queue.unfinished(10)).map(({ user }) => user)).toEqual(['bob']);
  });

  test('all who are started at the same time on a new store have the same one', async () => {
    const place = scratch.path('new');
    const queues = await Promise.all(Array.from({ length: 6 }, () => queueAt(place)));
    expect(new Set(await Promise.all(queues.map(({ redis }) => redis.get(KEYS.store)))).size).toBe(1);
    await queueAt(place);
    expect(await queues[0]!.redis.exists(KEYS.marking)).toBe(0);
  });

  test('drain removes what waits; the store of a queue is one place', async () => {
    const queue = await queueAt(scratch.path('place'));
    await queue.add(
      Array.from({ length: 5 }, (_, seed) => job('lion', { seed })),
      4,
    );
    expect(await queue.drain()).toBe(5);
    expect((await queue.counts()).get('toy')).toMatchObject({ waiting: 0 });
    await expect(queueAt('redis')).rejects.toThrow('The pictures of this queue are not kept in redis');
    await expect(queueAt(scratch.path('another'))).rejects.toThrow(UsageError);
    expect(existsSync(scratch.path('another'))).toBe(false);
    await queueAt(scratch.path('place'));
  });
});

describeWithRedis('a Redis that cannot be used', () => {
  const refusal = async (url: string, ...options: string[]): Promise<unknown> => {
    const redis = await startRedis(...options);
    try {
      return await openQueue({ address: queueAddress(url.replace('PORT', String(redis.port))), place: 'redis' }).then(
        queue => queue.close(),
        error => error,
      );
    } finally {
      await redis.stop();
    }
  };

  test('one that would throw jobs away', async () => {
    const error = await refusal('redis://127.0.0.1:PORT', '--maxmemory-policy', 'allkeys-lru');
    expect(error).toMatchObject({
      code: 'usage',
      message: expect.stringContaining('its eviction policy is allkeys-lru'),
    });
  });

  test('one with a password that is missing, wrong or right', async () => {
    const withPassword = ['--requirepass', 'open-sesame'];
    for (const url of ['redis://127.0.0.1:PORT', 'redis://:guessed@127.0.0.1:PORT']) {
      const error = (await refusal(url, ...withPassword)) as Error;
      expect(error.message).toContain('the password is missing or wrong');
      expect(error.message).not.toContain('guessed');
    }
    expect(await refusal('redis://:open-sesame@127.0.0.1:PORT', ...withPassword)).toBeUndefined();
  });

  test('one without a database of that number', async () => {
    expect(await refusal('redis://127.0.0.1:PORT/20')).toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/^Redis at redis:\/\/127\.0\.0\.1:\d+\/20 has no database of that number\.$/),
    });
    expect(await refusal('redis://127.0.0.1:PORT/3')).toBeUndefined();
  });

  test('one that is not there', async () => {
    const error = await openQueue({ address: queueAddress('redis://127.0.0.1:1'), place: 'redis' }).catch(e => e);
    expect(error).toMatchObject({
      code: 'io',
      message: expect.stringContaining('Redis at redis://127.0.0.1:1 cannot'),
    });
  });
});
