/** Several who want the same job or the same answer: none takes it from the others. */
import { setTimeout as wait } from 'node:timers/promises';
import { InterruptedError } from '../../src/errors';
import { queueAddress } from '../../src/fleet/address';
import { type FleetJob, fleetJob, jobId, NAMES } from '../../src/fleet/job';
import { KEYS, PREFIX, queueOf } from '../../src/fleet/names';
import { createParts, type Parts } from '../../src/fleet/parts';
import { type FleetQueue, openQueue } from '../../src/fleet/queue';
import { fleetRunner } from '../../src/fleet/runner';
import { startFleetWorker } from '../../src/fleet/worker';
import type { Piece } from '../../src/server/jobs/order';
import type { Runner } from '../../src/server/jobs/runner';
import { fakeRunner } from '../server/fake-runner';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';
import { until } from '../support/until';

const log = { info() {}, warn() {}, error() {} };

const piece = (previews = 0): Piece => ({
  request: { prompt: 'lion', seed: 1, model: 'toy', scale: 1, policy: 'none' },
  output: { format: 'png' },
  previews,
});
const lion: FleetJob = fleetJob(piece(), { model: '', user: 'anna', every: 2 });
const id = jobId(lion);
const target = { model: 'toy', hash: '', backend: 'wasm', loading: {} } as const;
const question = new Uint8Array([1, 2, 3]);
const code = (error: { code?: string }): string | undefined => error.code;

jest.setTimeout(120_000);

describeWithRedis('what several want', () => {
  let redis: TestRedis;
  const open: { close(): unknown }[] = [];
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
    await redis.stop();
  });

  async function queueOn(): Promise<FleetQueue> {
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
    open.push(queue);
    return queue;
  }
  async function worker(runner: Runner): Promise<void> {
    const started = await startFleetWorker({ queue: await queueOn(), runner, models: ['toy'], log });
    open.push({ close: () => started.close(0) });
  }
  async function server(): Promise<Runner> {
    const runner = await fleetRunner({ queue: await queueOn(), hashes: {}, policies: {}, every: 2 });
    open.push(runner);
    return runner;
  }
  const drawnBy = (runner: Runner, signal = new AbortController().signal, previews = 0): Promise<unknown> =>
    runner.draw([{ piece: piece(previews), user: 'bob', signal, onEvent() {} }])[0] as Promise<unknown>;

  test('one request goes away, and an equal one of the same server is answered', async () => {
    const drawing = fakeRunner();
    await worker({ ...drawing, draw: batch => drawing.draw(batch).map(each => each.then(nameless)) });
    const asked = await server();
    const leaving = new AbortController();
    const first = drawnBy(asked, leaving.signal, 2).catch(code);
    const second = drawnBy(asked);
    await drawing.begunCount(1);
    leaving.abort();
    expect(await first).toBe('interrupted');
    drawing.drawings[0]!.finish();
    expect(await second).toMatchObject({ bytes: expect.any(Uint8Array) });
  });

  test('one that leaves while its job is added lets go of it once', async () => {
    const queue = await queueOn();
    await queue.add([lion], 4);
    const asked = await server();
    for (const ms of [0, 1, 2, 5, 20]) {
      const leaving = new AbortController();
      const left = drawnBy(asked, leaving.signal).catch(code);
      await wait(ms);
      leaving.abort();
      expect(await left).toBe('interrupted');
    }
    await wait(300);
    expect([await queue.state('toy', id), await queue.redis.hget(KEYS.holders, id)]).toEqual(['waiting', '1']);
  });

  test('what is drawn already is held by nobody', async () => {
    const queue = await queueOn();
    for (const name of [NAMES.result(id), NAMES.output(id, lion)]) await queue.store.put(name, Buffer.from('{}'));
    expect((await queue.add([lion], 4))[0]!.state).toBe('completed');
    expect(await queue.redis.hgetall(KEYS.holders)).toEqual({});
    // A cleaned store: what is told of a picture does not stand for it.
    await queue.store.remove(NAMES.output(id, lion));
    const runner = fakeRunner({ atOnce: true });
    await worker(runner);
    expect((await queue.add([lion], 4))[0]!.state).toBe('unknown');
    await until(() => queue.store.has(NAMES.output(id, lion)));
  });

  test('a job that was cancelled a moment ago and is asked for again is drawn', async () => {
    const queue = await queueOn();
    // One who is slow to stop, as between two steps of a large model.
    let begun = 0;
    const runner = fakeRunner({ atOnce: true });
    const slow: Runner['draw'] = ([each]) => {
      if (++begun > 1) return runner.draw([each!]);
      const stopped = new Promise<never>((_, reject) => {
        each!.signal.addEventListener('abort', () => setTimeout(() => reject(new InterruptedError()), 800));
      });
      return [stopped];
    };
    await worker({ ...runner, draw: slow });
    const told: string[] = [];
    await queue.channels.on('ertacache:fleet:over', message => void told.push(JSON.parse(message).state));
    await queue.add([lion], 4);
    await until(() => begun === 1);
    expect(await queue.cancel(id)).toBe(true);
    expect((await queue.add([lion], 4))[0]!.state).toBe('active');
    await until(() => told.length === 1);
    expect([told, begun, await queue.state('toy', id)]).toEqual([['completed'], 2, 'completed']);
    expect(await queue.redis.keys('ertacache:fleet:again:*')).toEqual([]);
  });

  test('what has ended too many workers is given up, and may be tried anew', async () => {
    const queue = await queueOn();
    await queue.add([lion], 4);
    // As BullMQ leaves a job whose workers ended again and again.
    const key = `${PREFIX}:${queueOf('toy')}:${id}`;
    await queue.redis.hset(key, { stc: '4', defa: 'job stalled more than allowable limit' });
    const runner = fakeRunner({ atOnce: true });
    await worker(runner);
    await until(async () => (await queue.state('toy', id)) === 'failed');
    expect(runner.drawings).toHaveLength(0);
    expect(await queue.fault('toy', id)).toMatchObject({ code: 'given_up' });
    expect(await queue.retry([id])).toBe(1);
    await until(async () => (await queue.state('toy', id)) === 'completed');
  });

  describe('a part', () => {
    let asks = 0;
    async function answering(ms: number): Promise<void> {
      asks = 0;
      const ask: Runner['ask'] = ({ signal }) =>
        new Promise((resolve, reject) => {
          asks++;
          const timer = setTimeout(() => resolve(new Uint8Array([7])), ms);
          signal.addEventListener('abort', () => {
            clearTimeout(timer);
            setTimeout(() => reject(new InterruptedError()), 500);
          });
        });
      await worker({ ...fakeRunner(), ask });
    }
    async function command(): Promise<Parts> {
      const parts = await createParts(await queueOn());
      open.push(parts);
      return parts;
    }
    const nothingLeft = async (): Promise<void> => {
      const queue = await queueOn();
      await until(async () => (await queue.redis.keys('ertacache:fleet:part:*')).length === 0);
      expect(await queue.redis.keys('ertacache:fleet:again:*')).toEqual([]);
    };

    test('is answered for all who ask, also when one of them hears late', async () => {
      await answering(300);
      const [one, other] = [await command(), await command()];
      const second = other.ask(target, question);
      const first = one.ask(target, question);
      await first;
      expect(await second).toEqual(new Uint8Array([7]));
      expect(asks).toBe(1);
      // The answer is gone when this one comes for it: it is asked again.
      const queue = await queueOn();
      const late = await createParts(queue);
      open.push(late);
      jest.spyOn(queue.redis, 'mgetBuffer').mockResolvedValueOnce([null, null]);
      expect(await late.ask(target, new Uint8Array([9]))).toEqual(new Uint8Array([7]));
      await nothingLeft();
    });

    test('goes on when one who asked is interrupted, and stops when nobody is left', async () => {
      await answering(1500);
      const [one, other] = [await command(), await command()];
      const stop = new AbortController();
      const first = one.ask(target, question, stop.signal).catch(code);
      const second = other.ask(target, question);
      await until(() => asks === 1);
      stop.abort();
      expect(await first).toBe('interrupted');
      expect(await second).toEqual(new Uint8Array([7]));
      expect(asks).toBe(1);
      await nothingLeft();
    });

    test('is answered when the same command is begun right after Ctrl-C', async () => {
      await answering(1000);
      const stop = new AbortController();
      const first = (await command()).ask(target, question, stop.signal).catch(code);
      await until(() => asks === 1);
      stop.abort();
      expect(await first).toBe('interrupted');
      await wait(100);
      expect(await (await command()).ask(target, question)).toEqual(new Uint8Array([7]));
      expect(asks).toBe(2);
      await nothingLeft();
    });
  });
});

/** A receipt of the model as the job names it. */
function nameless<T extends { readonly receipt: { readonly model: object } }>({ receipt, ...rest }: T) {
  return { ...rest, receipt: { ...receipt, model: { ...receipt.model, hash: '' } } } as never;
}
