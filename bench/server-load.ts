/**
 * A server under load, and idle: how much of what its workers do without HTTP is left, whether every request is answered
 * and nothing drawn twice, how soon `/healthz` answers meanwhile, how long it takes to start, what it costs when nobody
 * asks, and whether memory stays flat. Needs a build (`npx tsdown`) and Linux.
 *
 *   node bench/run.cjs bench/server-load.ts [--requests 500] [--clients 100] [--steps 4] [--rounds 5] [--backend wasm]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import pino from 'pino';
import type { EngineKind } from '../src/engine/types';
import { readCatalog } from '../src/server/catalog';
import { orderSchema, piecesOf } from '../src/server/jobs/order';
import type { Runner } from '../src/server/jobs/runner';
import { processPool } from '../src/server/workers/pool';

const { values: given } = parseArgs({
  options: {
    requests: { type: 'string', default: '500' },
    clients: { type: 'string', default: '100' },
    steps: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    backend: { type: 'string', default: 'wasm' },
  },
});
const WORKERS = 2;
const steps = Number(given.steps);
const dist = (name: string): string => resolve(__dirname, '../dist', name);
const say = (text: string): void => console.log(`${text}  (load ${loadavg()[0]?.toFixed(1)})`);

interface Served {
  readonly child: ChildProcess;
  readonly url: string;
}

async function serve(...more: string[]): Promise<Served> {
  const args = ['--backend', given.backend, '--threads', '1', 'serve', '--port', '0', '--log-level', 'error', ...more];
  const child = spawn(process.execPath, [dist('cli.mjs'), ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', text => {
    said += text;
  });
  for (;;) {
    const url = /listening on (\S+)/.exec(said)?.[1];
    if (url !== undefined) return { child, url };
    if (child.exitCode !== null) throw new Error(said);
    await wait(5);
  }
}

async function picture(url: string, seed: number): Promise<number> {
  const answer = await fetch(`${url}/v1/images/generations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'red heart', seed, steps, policy: 'none' }),
  });
  const body = (await answer.json()) as { data?: [{ b64_json: string }] };
  if (answer.status === 200 && !body.data?.[0].b64_json) throw new Error('An answer has no picture.');
  return answer.status;
}

/** Does work for all numbers from `first` on, so many at a time. @returns seconds */
async function inParallel(count: number, width: number, work: (index: number) => Promise<unknown>): Promise<number> {
  const started = performance.now();
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, one));
  return (performance.now() - started) / 1000;
}

async function bareWorkers(): Promise<Runner> {
  const { models } = await readCatalog([]);
  const runner = processPool({
    count: WORKERS,
    log: pino({ level: 'silent' }),
    script: dist('draw-worker.mjs'),
    begin: {
      type: 'begin',
      backend: given.backend as EngineKind,
      threads: 1,
      verbose: false,
      models: Object.fromEntries(models.map(({ id, path }) => [id, path])),
      policies: {},
      held: 1,
      first: models[0]?.id,
    },
  });
  await runner.begun();
  return runner;
}

async function figure(url: string, name: string): Promise<number> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
  const own = lines.filter(line => line.startsWith(`ertacache_${name}`));
  return own.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Processor time of a process, in seconds. */
function processorTimeOf(id: number | string | undefined): number {
  const text = readFileSync(`/proc/${id}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The same of a process and its children. */
function processorTime({ pid }: ChildProcess): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return [String(pid), ...children].reduce((sum, id) => sum + processorTimeOf(id), 0);
}

async function main(): Promise<void> {
  const began = performance.now();
  const first = await serve('--workers', '1');
  await picture(first.url, 0);
  const took = (performance.now() - began) / 1000;
  const before = processorTime(first.child);
  say(`start to the first picture: ${took.toFixed(2)} s, ${before.toFixed(2)} s of processor time`);
  await wait(10_000);
  say(`idle for 10 s: ${(processorTime(first.child) - before).toFixed(2)} s of processor time`);
  first.child.kill('SIGTERM');

  const [requests, clients, rounds] = [Number(given.requests), Number(given.clients), Number(given.rounds)];
  const { child, url } = await serve('--workers', String(WORKERS), '--max-queue', String(requests));
  const runner = await bareWorkers();
  const each = Math.ceil(requests / rounds);
  const bare = (seed: number) => {
    const order = orderSchema.parse({
      request: { prompt: 'red heart', seed, steps, policy: 'none' },
      count: 1,
      output: { format: 'png' },
      previews: 0,
    });
    const piece = piecesOf(order)[0]!;
    return runner.draw([{ piece, signal: new AbortController().signal, onEvent: () => {} }])[0]!;
  };
  await inParallel(4, WORKERS, seed => picture(url, 1e6 + seed));
  await inParallel(4, WORKERS, bare);
  const spent = await figure(url, 'forwards_computed_total');
  const [own, all] = [processorTimeOf(child.pid), processorTime(child)];
  const statuses = new Map<number, number>();
  const ratios: number[] = [];
  let early: readonly number[] = [];
  const held = async () => [await figure(url, 'worker_tensors'), await figure(url, 'worker_memory_bytes')];
  for (let round = 0; round < rounds; round++) {
    const over = await inParallel(each, clients, async index => {
      const status = await picture(url, round * each + index);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    });
    const without = await inParallel(each, WORKERS, index => bare(round * each + index));
    ratios.push(without / over);
    say(
      `${each} pictures: ${over.toFixed(1)} s over HTTP, ${without.toFixed(1)} s without, ratio ${(without / over).toFixed(3)}`,
    );
    if (round === 0) early = await held();
  }
  const median = [...ratios].sort((a, b) => a - b)[Math.floor(rounds / 2)] as number;
  say(`throughput over HTTP by that of the same workers without: ${median.toFixed(3)} (median of ${rounds})`);
  say(`answers: ${[...statuses].map(([status, count]) => `${count} × ${status}`).join(', ')}`);
  const [ownNow, allNow] = [processorTimeOf(child.pid), processorTime(child)];
  say(
    `of the processor time of server and workers the server takes ${(((ownNow - own) / (allNow - all)) * 100).toFixed(1)} %`,
  );
  const computed = (await figure(url, 'forwards_computed_total')) - spent;
  say(`forward passes for each picture: ${computed / (statuses.get(200) ?? 0)} of ${steps}`);
  const [[tensors, memory], [laterTensors, laterMemory]] = [early, await held()] as [number[], number[]];
  const megabytes = (bytes = 0): string => `${(bytes / 1e6).toFixed(0)} MB`;
  say(
    `workers after round 1 and at the end: ${tensors} and ${laterTensors} tensors, ${megabytes(memory)} and ${megabytes(laterMemory)}`,
  );
  await runner.close();

  const health = async (when: string): Promise<void> => {
    const options = { url: `${url}/healthz`, connections: 4, duration: 10, overallRate: 200 };
    const { latency, non2xx } = await autocannon(options);
    say(`/healthz while ${when}: p50 ${latency.p50} ms, p99 ${latency.p99} ms, ${non2xx} refused`);
  };
  await health('nobody draws');
  let isBusy = true;
  const busy = inParallel(1e6, 2 * WORKERS, async seed => (isBusy ? picture(url, 2e6 + seed) : undefined));
  await health('both workers draw');
  isBusy = false;
  await busy;
  child.kill('SIGTERM');
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
