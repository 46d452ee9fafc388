/**
 * A queue on Redis in figures: what it costs a job; ten thousand jobs over eight workers, with the memory that they take
 * and the order that they are drawn in; and two workers, each on a processor of its own, against one. Needs
 * `redis-server`, a build (`npx tsdown`) and Linux.
 *
 *   node bench/run.cjs bench/fleet.ts [--jobs 10000] [--workers 8] [--pictures 60] [--steps 30] [--backend native]
 *     [--rounds 3]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { queueAddress } from '../src/fleet/address';
import { type FleetJob, fleetJob } from '../src/fleet/job';
import { type FleetQueue, openQueue } from '../src/fleet/queue';
import { startFleetWorker } from '../src/fleet/worker';
import { median } from '../src/metrics/statistics';
import type { Finished, Runner } from '../src/server/jobs/runner';
import { startRedis } from '../test/support/redis';
import { busySeconds } from './measure/busy-seconds';

const { values: given } = parseArgs({
  options: {
    jobs: { type: 'string', default: '10000' },
    workers: { type: 'string', default: '8' },
    pictures: { type: 'string', default: '60' },
    steps: { type: 'string', default: '30' },
    backend: { type: 'string', default: 'native' },
    rounds: { type: 'string', default: '3' },
    /** Of a worker that this started: the queue, and the milliseconds that it takes for a picture. */
    queue: { type: 'string' },
    stub: { type: 'string', default: '50' },
  },
});
const say = (text: string): void => console.log(`${text}  (load ${loadavg()[0]?.toFixed(1)})`);
const log = { info() {}, warn() {}, error: (fields: object) => console.error(fields) };
const MODEL = 'stub';
const PRIORITIES = 8;

const jobOf = (prompt: string, model = MODEL, steps = 1): FleetJob =>
  fleetJob(
    {
      request: { prompt, seed: 1, model, steps, scale: 1, policy: 'none' },
      output: { format: 'png' },
      previews: 0,
    },
    { model: '', user: 'bench', every: 5 },
  );

/** Takes its time and draws nothing. */
function stubRunner(ms: number): Runner {
  return {
    places: 1,
    mostTogether: () => 1,
    begun: async () => {},
    health: () => ({ ready: true, faults: [], workers: [] }),
    close: async () => {},
    draw: batch =>
      batch.map(async ({ piece }): Promise<Finished> => {
        const { prompt, seed, model } = piece.request;
        await wait(ms);
        return {
          bytes: new Uint8Array(8000),
          receipt: {
            tool: 'ertacache',
            version: '0',
            model: { id: model, hash: '', path: model },
            ...{ prompt, seed, steps: 1, guidance: 1, scale: 1, backend: 'stub', policy: null },
            ...{ schedule: '#', forwards: 1 },
          },
          ...{ seconds: 0, width: 64, height: 64, frames: 1, unread: [] },
        };
      }),
  };
}

/** A worker in a process of its own: this file again. */
async function serveStub(url: string): Promise<void> {
  const queue = await openQueue({ address: queueAddress(url), place: 'redis' });
  await startFleetWorker({ queue, runner: stubRunner(Number(given.stub)), models: [MODEL], log });
  console.log('ready');
}

async function overs(queue: FleetQueue, count: number, onOver: (id: string) => void = () => {}): Promise<void> {
  let left = count;
  await new Promise<void>(done => {
    void queue.channels.on('ertacache:fleet:over', message => {
      onOver(JSON.parse(message).id);
      if (--left === 0) done();
    });
  });
}

/**
 * The jobs in the order in which they were taken, as Redis has written it down: they end in another one, for those that
 * are drawn at a time end as they like.
 */
async function takenBy(queue: FleetQueue, count: number, taken: string[]): Promise<void> {
  const reader = queue.redis.duplicate();
  let last = '0';
  while (taken.length < count) {
    const key = `ertacache:draw-${MODEL}:events`;
    const [stream] = (await reader.xread('COUNT', 500, 'BLOCK', 1000, 'STREAMS', key, last)) ?? [];
    for (const [id, fields] of stream?.[1] ?? []) {
      last = id;
      const told = new Map(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]] as const] : [])));
      if (told.get('event') === 'active') taken.push(String(told.get('jobId')));
    }
  }
  reader.disconnect();
}

const usedBytes = async ({ redis }: FleetQueue): Promise<number> =>
  Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);

const residentBytes = (pid: number): number =>
  1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

const kb = (bytes: number): string => `${(bytes / 1024).toFixed(2)} KiB`;
const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

/** What the queue costs a job: one worker that draws in no time. */
async function overhead(): Promise<void> {
  const redis = await startRedis('--appendfsync', 'everysec');
  const queue = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
  const own = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
  const jobs = Array.from({ length: 1000 }, (_, i) => jobOf(`picture ${i}`));
  const started = performance.now();
  await queue.add(jobs, 4);
  const added = performance.now();
  const done = overs(queue, jobs.length);
  const worker = await startFleetWorker({ queue: own, runner: stubRunner(0), models: [MODEL], log });
  const begun = performance.now();
  await done;
  const [adding, drawing] = [(added - started) / jobs.length, (performance.now() - begun) / jobs.length];
  // A timer of no time takes a millisecond.
  say(`overhead: ${adding.toFixed(2)} ms to submit a job, ${drawing.toFixed(2)} ms to take, keep and tell it`);
  await worker.close(0);
  for (const each of [queue, own]) await each.close();
  await redis.stop();
}

async function many(): Promise<void> {
  const [count, workers] = [Number(given.jobs), Number(given.workers)];
  const redis = await startRedis('--appendfsync', 'everysec');
  const queue = await openQueue({ address: queueAddress(redis.url), place: 'redis' });
  const empty = await usedBytes(queue);
  const priorityOf = new Map<string, number>();
  for (let i = 0; i < count; i += 500) {
    const priority = (i / 500) % PRIORITIES;
    const some = Array.from({ length: Math.min(500, count - i) }, (_, k) => jobOf(`picture ${i + k}`));
    for (const { id } of await queue.add(some, priority)) priorityOf.set(id, priority);
  }
  const waiting = await usedBytes(queue);
  const children = Array.from({ length: workers }, () =>
    spawn(process.execPath, [resolve(__dirname, 'run.cjs'), __filename, '--queue', redis.url, '--stub', given.stub], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const drawn: string[] = [];
  const started = performance.now();
  const taken: string[] = [];
  const done = Promise.all([overs(queue, count, id => drawn.push(id)), takenBy(queue, count, taken)]);
  let [most, peak] = [0, waiting];
  const timer = setInterval(async () => {
    most = Math.max(most, ...children.map(({ pid }) => residentBytes(pid as number)));
    peak = Math.max(peak, await usedBytes(queue));
  }, 1000);
  await done;
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  const counts = (await queue.counts()).get(MODEL);
  const after = await usedBytes(queue);
  let inversions = 0;
  let last = 0;
  for (const id of taken) {
    const priority = priorityOf.get(id) ?? 0;
    if (priority < last) inversions++;
    last = Math.max(last, priority);
  }
  const clients = (await queue.redis.client('LIST')) as string;
  say(
    `${count} jobs of ${given.stub} ms over ${workers} workers: ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(0)} a second`,
  );
  say(
    `  completed ${counts?.completed} (Redis remembers 10,000), failed ${counts?.failed}, different ${new Set(drawn).size}`,
  );
  say(`  taken out of the order of priorities: ${inversions}`);
  say(
    `  Redis: ${kb((waiting - empty) / count)} a waiting job, at most ${mb(peak)}, ${mb(after)} at the end with the pictures of 8 KB`,
  );
  say(
    `  a worker's memory: at most ${mb(most)}; ${clients.trim().split('\n').length} connections; this process: ${mb(process.memoryUsage.rss())}`,
  );
  for (const child of children) child.kill('SIGKILL');
  await queue.close();
  await redis.stop();
}

interface Drawn {
  /** Pictures a minute. */
  readonly rate: number;
  /** Processor time of the workers, and of Redis and this process, in seconds a picture. */
  readonly theirs: number;
  readonly own: number;
}

/** What so many workers draw, each pinned to a processor. */
async function pinned(count: number): Promise<Drawn> {
  const redis = await startRedis('--appendfsync', 'everysec');
  const folder = mkdtempSync(join(tmpdir(), 'ertacache-fleet-'));
  const children: ChildProcess[] = [];
  for (let i = 0; i < count; i++) {
    const cli = [resolve(__dirname, '../dist/cli.mjs'), '--backend', given.backend, '--threads', '1', 'worker'];
    const args = ['-c', String(i), process.execPath, ...cli, '--queue', redis.url, '--store', folder];
    const child = spawn('taskset', [...args, '--log-level', 'error'], { stdio: ['ignore', 'inherit', 'pipe'] });
    children.push(child);
    let told = '';
    child.stderr.on('data', data => (told += data));
    while (!told.includes('takes jobs')) {
      if (child.exitCode !== null) throw new Error(told);
      await wait(20);
    }
  }
  const queue = await openQueue({ address: queueAddress(redis.url), place: folder });
  const draw = async (name: string, pictures: number): Promise<number> => {
    const done = overs(queue, pictures);
    const jobs = Array.from({ length: pictures }, (_, i) => jobOf(`${name} ${i}`, 'fluent-emoji', Number(given.steps)));
    const started = performance.now();
    await queue.add(jobs, 4);
    await done;
    return (performance.now() - started) / 1000;
  };
  await draw('warm', 2 * count);
  const pictures = Number(given.pictures);
  const busy = (): [number, number] => {
    const workers = children.reduce((sum, { pid }) => sum + busySeconds(pid as number), 0);
    return [workers, busySeconds(process.pid) - workers];
  };
  const [theirsBefore, ownBefore] = busy();
  const rate = (60 * pictures) / (await draw('red heart', pictures));
  const [theirs, own] = busy();
  for (const child of children) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await queue.close();
  await redis.stop();
  rmSync(folder, { recursive: true });
  return { rate, theirs: (theirs - theirsBefore) / pictures, own: (own - ownBefore) / pictures };
}

async function main(): Promise<void> {
  say(`node ${process.version}, ${availableParallelism()} processors`);
  await overhead();
  await many();
  const ratios: number[] = [];
  // A shared machine is now faster, now slower.
  const steady: number[] = [];
  for (let round = 0; round < Number(given.rounds); round++) {
    const [one, two] = [await pinned(1), await pinned(2)];
    ratios.push(two.rate / one.rate);
    steady.push((two.rate * two.theirs) / (one.rate * one.theirs));
    say(
      `pictures a minute of fluent-emoji, ${given.steps} steps, ${given.backend}: one worker ${one.rate.toFixed(1)}, two ${two.rate.toFixed(1)}: ${(two.rate / one.rate).toFixed(2)} ×`,
    );
    for (const [count, { theirs, own }] of [[1, one] as const, [2, two] as const]) {
      const ms = (seconds: number): string => (1000 * seconds).toFixed(0);
      say(`  ${count}: processor time of a picture, workers ${ms(theirs)} ms, Redis and this process ${ms(own)} ms`);
    }
  }
  say(
    `two workers by one, median of ${ratios.length}: ${median(ratios).toFixed(2)} ×; at the same processor time a picture ${median(steady).toFixed(2)} ×`,
  );
}

void (given.queue === undefined ? main() : serveStub(given.queue));
