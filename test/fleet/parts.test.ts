import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs-core';
import { calibrate } from '../../src/calibration/calibrate';
import { measurePolicy } from '../../src/calibration/measure';
import { splitPairs } from '../../src/calibration/pairs';
import { activeKind } from '../../src/engine/active-kind';
import { queueAddress } from '../../src/fleet/address';
import { farArena } from '../../src/fleet/far-arena';
import { farPipeline } from '../../src/fleet/far-model';
import { createParts, rememberedAnswers, requireWorkers } from '../../src/fleet/parts';
import { openQueue } from '../../src/fleet/queue';
import { runArena } from '../../src/lab/compare/arena';
import { beginComparison } from '../../src/lab/compare/begin';
import type { Comparison } from '../../src/lab/compare/comparison';
import { contenderCalled } from '../../src/lab/compare/contenders';
import type { FarArena } from '../../src/lab/compare/far';
import { memoryStore } from '../../src/lab/compare/memory-store';
import { loadModel } from '../../src/pipelines/load';
import { serializePolicy } from '../../src/policy/bytes';
import type { Pipeline } from '../../src/sampling/pipeline';
import { describeOnBackends } from '../support/backends';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';

const MODEL = 'fluent-emoji';
const METHODS = ['fewer-steps', 'teacache', 'taylor-searched', 'ertacache'];
const { calibration: pairs } = splitPairs(['red heart', 'blue star', 'lion', 'key'], 4, 1);

// Processes that load models.
jest.setTimeout(180_000);

/** The bytes of the policy that is calibrated, and its figures. */
async function policyOf(pipeline: Pipeline, signal?: AbortSignal): Promise<string[]> {
  const run = { pairs, steps: 5, guidance: 2, batch: 2, signal };
  const policy = await calibrate(pipeline, { ...run, schedule: { computed: 3 } });
  const calibration = await measurePolicy(pipeline, policy, pairs, { batch: 2, signal });
  const measured = { ...policy, data: { ...policy.data, measured: { calibration } } };
  const { json, coefficients } = await serializePolicy(measured, 'policy.json');
  return [json, Buffer.from(coefficients!).toString('hex')];
}

test('answers are remembered as long as there is room for them', () => {
  const { get, set } = rememberedAnswers(10);
  for (const id of ['a', 'b', 'c']) set(id, new Uint8Array(4));
  expect(['a', 'b', 'c'].map(id => get(id)?.length)).toEqual([undefined, 4, 4]);
  set('d', new Uint8Array(11));
  expect(['b', 'c', 'd'].map(get)).toEqual([undefined, undefined, undefined]);
});

describeWithRedis('a calibration by the workers of a queue', () => {
  let redis: TestRedis;
  const children: ChildProcess[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  afterEach(async () => {
    for (const child of children.splice(0)) await kill(child);
  });

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async function startWorkers(count: number, backend: string): Promise<void> {
    const options = { queue: redis.url, place: 'any', models: [MODEL], backend, threads: 1 };
    const ready = Array.from({ length: count }, () => {
      const child = spawn(process.execPath, [join(__dirname, '../support/fleet-worker.cjs'), JSON.stringify(options)]);
      children.push(child);
      return new Promise<void>((resolve, reject) => {
        let told = '';
        child.stderr.on('data', data => {
          told += data;
          if (told.includes('ready')) resolve();
        });
        child.once('exit', () => reject(new Error(told)));
      });
    });
    await Promise.all(ready);
  }

  async function withParts<T>(work: (far: (own: Pipeline) => Pipeline) => Promise<T>): Promise<T> {
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'any' });
    const parts = await createParts(queue);
    try {
      const result = await work(own => farPipeline(own, { model: MODEL, loading: {} }, parts));
      // What was asked and answered is gone, and nobody is thought to wait.
      const left = (): Promise<string[]> => queue.redis.keys('ertacache:fleet:part:*');
      for (let i = 0; i < 100 && (await left()).length > 0; i++) await wait(50);
      expect(await left()).toEqual([]);
      expect(await queue.redis.hgetall('ertacache:fleet:users')).toEqual({});
      return result;
    } finally {
      parts.close();
      await queue.close();
    }
  }

  test('sends a question once, and again when Redis has lost it', async () => {
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'any' });
    const parts = await createParts(queue);
    const stop = new AbortController();
    const question = new Uint8Array(2 ** 20);
    const asked = parts.ask({ model: MODEL, hash: '', backend: 'wasm', loading: {} }, question, stop.signal);
    const received = async (): Promise<number> =>
      Number(/^total_net_input_bytes:(\d+)/m.exec(await queue.redis.info('stats'))?.[1]);
    const questions = async (): Promise<string[]> => queue.redis.keys('ertacache:fleet:part:*:question');
    const until = async (count: number): Promise<void> => {
      while ((await questions()).length !== count) await wait(20);
    };
    try {
      await until(1);
      const before = await received();
      // Nobody answers, and it is looked for the answer twice.
      await wait(2500);
      expect((await received()) - before).toBeLessThan(question.length);
      await queue.redis.unlink(await questions());
      await until(1);
      stop.abort();
      await expect(asked).rejects.toMatchObject({ code: 'interrupted' });
      await until(0);
    } finally {
      parts.close();
      await queue.close();
    }
  });

  async function compared(own: Pipeline, far?: FarArena): Promise<Comparison> {
    const chosen = METHODS.map(name => contenderCalled(name));
    const { calibration, evaluation } = splitPairs(own.info.prompts, 2, 3);
    const asked = {
      ...{ steps: 4, guidance: 2, picture: {}, kind: 'methods' as const, budgets: [2], against: 'ertacache' },
      ...{ calibration: [...calibration], evaluation: [...evaluation], batch: 2, trials: 0 },
      ...{ timed: 0, lpips: null, policies: [] },
    };
    const where = { command: '', machine: { cpu: '', threads: 1, gpus: [], memoryBytes: 0 }, node: '' };
    const engine = { kind: activeKind(), label: '' };
    const store = memoryStore(beginComparison(own.info, chosen, asked, { ...where, engine }));
    const comparison = await runArena(own, store, { contenders: chosen, ...(far && { far }) });
    const isClock = (key: string): boolean => ['seconds', 'started'].includes(key);
    return JSON.parse(JSON.stringify(comparison, (key, value) => (isClock(key) ? undefined : value)));
  }

  describeOnBackends('', () => {
    test('gives the figures of one machine in a comparison, also when a worker is killed', async () => {
      const own = await loadModel(MODEL);
      const here = await compared(own);
      expect(here.cells).toHaveLength(METHODS.length);
      await startWorkers(2, activeKind());
      const [first] = children;
      const queue = await openQueue({ address: queueAddress(redis.url), place: 'any' });
      const parts = await createParts(queue);
      const far = farArena(own.info, { model: MODEL, loading: {} }, {}, parts);
      let asks = 0;
      // The part that the killed one has is done by the other.
      const killing: FarArena = {
        ...far,
        part(asked, pixels) {
          if (++asks === 4) void kill(first!);
          return far.part(asked, pixels);
        },
      };
      expect(await compared(own, killing)).toEqual(here);
      parts.close();
      await queue.close();
      own.dispose();
    });

    test('gives the policy of one machine, byte for byte, with 1, 2 and 3 workers and when one is killed', async () => {
      const own = await loadModel(MODEL);
      const here = await policyOf(own);
      const before = tf.memory().numTensors;
      const backend = activeKind();
      await startWorkers(1, backend);
      expect(await withParts(far => policyOf(far(own)))).toEqual(here);
      await startWorkers(1, backend);
      expect(await withParts(far => policyOf(far(own)))).toEqual(here);
      await startWorkers(1, backend);
      const [first] = children;
      const killed = withParts(async far => {
        const done = policyOf(far(own));
        await wait(300);
        await kill(first!);
        return done;
      });
      expect(await killed).toEqual(here);
      expect(tf.memory().numTensors).toBe(before);
      own.dispose();
    });
  });

  test('nobody is asked where no worker has the model', async () => {
    const queue = await openQueue({ address: queueAddress(redis.url), place: 'any' });
    await expect(requireWorkers(queue, 'other')).rejects.toThrow('No worker of this queue has the model "other".');
    await queue.close();
  });
});
