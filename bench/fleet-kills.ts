/**
 * Workers of a queue that are killed at random moments, and a Redis that is killed once, while pictures are drawn: every
 * picture has to be there, once, with the bytes of one that was never interrupted. Needs `redis-server`, a build
 * (`npx tsdown`) and Linux.
 *
 *   node bench/run.cjs bench/fleet-kills.ts [--jobs 300] [--kills 30] [--workers 2] [--steps 30] [--backend native]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { queueAddress } from '../src/fleet/address';
import { fleetJob, jobId, NAMES } from '../src/fleet/job';
import { workerPool } from '../src/fleet/pool';
import { openQueue } from '../src/fleet/queue';
import { atMost } from '../src/io/at-most';
import { torchGenerator } from '../src/random/torch-generator';
import { startRedis } from '../test/support/redis';

const { values: given } = parseArgs({
  options: {
    jobs: { type: 'string', default: '300' },
    kills: { type: 'string', default: '30' },
    workers: { type: 'string', default: '2' },
    steps: { type: 'string', default: '30' },
    backend: { type: 'string', default: 'native' },
    seed: { type: 'string', default: '0' },
  },
});
const MODEL = 'fluent-emoji';
const say = (text: string): void => console.log(`${text}  (load ${loadavg()[0]?.toFixed(1)})`);
const log = { info() {}, warn() {}, error() {} };

interface Running {
  readonly child: ChildProcess;
  isReady: boolean;
}

function startWorker(url: string, place: string): Running {
  const cli = [resolve(__dirname, '../dist/cli.mjs'), '--backend', given.backend, '--threads', '1', 'worker'];
  const child = spawn(process.execPath, [...cli, '--queue', url, '--store', place, '--log-level', 'error'], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const running: Running = { child, isReady: false };
  child.stderr?.on('data', data => {
    if (String(data).includes('takes jobs')) running.isReady = true;
  });
  return running;
}

async function main(): Promise<void> {
  const random = torchGenerator(Number(given.seed));
  const redis = await startRedis();
  const place = mkdtempSync(join(tmpdir(), 'ertacache-fleet-'));
  const queue = await openQueue({ address: queueAddress(redis.url), place });
  const pieces = Array.from({ length: Number(given.jobs) }, (_, seed) => ({
    request: { prompt: 'red heart', seed, model: MODEL, steps: Number(given.steps), scale: 1, policy: 'none' },
    output: { format: 'png' as const },
    previews: 0,
  }));
  const jobs = pieces.map(piece => fleetJob(piece, { model: '', user: 'bench', every: 5 }));
  const ids = jobs.map(jobId);
  const told = new Map<string, number>();
  await queue.channels.on('ertacache:fleet:over', message => {
    const { id, state } = JSON.parse(message);
    if (state === 'completed') told.set(id, (told.get(id) ?? 0) + 1);
  });
  await queue.add(jobs, 4);
  const workers = Array.from({ length: Number(given.workers) }, () => startWorker(redis.url, place));
  const started = performance.now();
  const recoveries: number[] = [];
  const kills = Number(given.kills);
  let killed = 0;
  const active = async (): Promise<string[]> => {
    const [own] = await queue.queues();
    return ((await own?.getActive()) ?? []).map(job => String(job.id));
  };
  /** How long it takes until a job that was held is drawn again, or is done. */
  async function recovery(held: string[]): Promise<void> {
    const since = performance.now();
    for (const id of held) {
      const beaten = await queue.redis.hget(`ertacache:draw-${MODEL}:${id}`, 'ats');
      while (!(await queue.store.has(NAMES.result(id)))) {
        if ((await queue.redis.hget(`ertacache:draw-${MODEL}:${id}`, 'ats')) !== beaten) break;
        await wait(50);
      }
    }
    recoveries.push((performance.now() - since) / 1000);
  }
  const recovering: Promise<void>[] = [];
  const completed = async (): Promise<number> => (await queue.counts()).get(MODEL)?.completed ?? 0;
  while (killed < kills) {
    // Spread over all jobs, at random moments.
    while ((await completed()) < (killed * jobs.length) / (kills + 1)) await wait(100);
    await wait(1500 * random.uniformFloat());
    const i = Math.floor(random.uniformFloat() * workers.length);
    const worker = workers[i] as Running;
    if (!worker.isReady) continue;
    const names = await queue.redis.hgetall('ertacache:fleet:worker-facts');
    const name = Object.keys(names).find(key => key.includes(`-${worker.child.pid}-`));
    const held: string[] = [];
    for (const id of await active()) {
      const by = await queue.redis.hget(`ertacache:draw-${MODEL}:${id}`, 'pb');
      if (by === name) held.push(id);
    }
    worker.child.kill('SIGKILL');
    await once(worker.child, 'exit');
    killed++;
    if (held.length > 0) recovering.push(recovery(held));
    if (killed === Math.ceil(kills / 2)) await redis.restart();
    workers[i] = startWorker(redis.url, place);
  }
  await Promise.all(recovering);
  for (;;) {
    const counts = (await queue.counts()).get(MODEL);
    if (counts && counts.waiting + counts.active + counts.delayed === 0) break;
    await wait(200);
  }
  const seconds = (performance.now() - started) / 1000;
  for (const { child } of workers) child.kill('SIGKILL');
  const counts = (await queue.counts()).get(MODEL);
  const files = readdirSync(place).filter(name => name.endsWith('.png'));
  const { runner } = await workerPool(
    { backend: given.backend as 'wasm', threads: 1, workers: 2 },
    log,
    resolve(__dirname, '../dist/draw-worker.cjs'),
  );
  let different = 0;
  const { signal } = new AbortController();
  const inTurn = atMost(2);
  const compare = async (piece: (typeof pieces)[number], i: number): Promise<void> => {
    const [drawn] = runner.draw([{ piece, signal, onEvent() {} }]);
    const bytes = (await drawn)?.bytes;
    const kept = await queue.store.get(NAMES.output(ids[i] as string, jobs[i] as (typeof jobs)[number]));
    if (!bytes || !kept || !Buffer.from(bytes).equals(Buffer.from(kept))) different++;
  };
  await Promise.all(pieces.map((piece, i) => inTurn(() => compare(piece, i))));
  await runner.close();
  const sorted = recoveries.sort((a, b) => a - b);
  say(
    `${pieces.length} pictures on ${given.backend}, ${killed} kills of workers, Redis killed once: ${seconds.toFixed(0)} s`,
  );
  say(
    `  completed ${counts?.completed}, failed ${counts?.failed}, files ${files.length}, with other bytes ${different}`,
  );
  say(`  told more than once: ${[...told.values()].filter(count => count > 1).length}`);
  say(
    `  jobs taken up again: ${sorted.length}, after ${sorted[Math.floor(sorted.length / 2)]?.toFixed(1)} s in the middle, ${sorted.at(-1)?.toFixed(1)} s at most`,
  );
  await queue.close();
  await redis.stop();
  rmSync(place, { recursive: true });
  if (different > 0 || files.length !== pieces.length) process.exitCode = 1;
}

void main();
