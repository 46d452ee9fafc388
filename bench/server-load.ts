/**
 * A server under load, and idle: how much of what its workers do without HTTP is left, whether every request is answered
 * and nothing drawn twice, how soon `/healthz` answers meanwhile, how long it takes to start, what it costs when nobody
 * asks, and whether memory stays flat. Needs a build (`npx tsdown`) and Linux.
 *
 *   node bench/run.cjs bench/server-load.ts [--requests 500] [--clients 100] [--steps 4] [--rounds 5] [--backend wasm]
 *     [--max-batch N] [--only-load]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import pino from 'pino';
import type { EngineKind } from '../src/engine/types';
import { readCatalog } from '../src/server/catalog';
import { orderSchema, type Piece, piecesOf } from '../src/server/jobs/order';
import type { Runner } from '../src/server/jobs/runner';
import { processPool } from '../src/server/workers/pool';
import { usualTogether } from '../src/server/workers/together';

const { values: given } = parseArgs({
  options: {
    requests: { type: 'string', default: '500' },
    clients: { type: 'string', default: '100' },
    steps: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    backend: { type: 'string', default: 'wasm' },
    'max-batch': { type: 'string' },
    /** Neither idle nor asked for its health. */
    'only-load': { type: 'boolean', default: false },
  },
});
const WORKERS = 2;
const steps = Number(given.steps);
const dist = (name: string): string => resolve(__dirname, '../dist', name);
const say = (text: string): void => console.log(`${text}  (load ${loadavg()[0]?.toFixed(1)})`);

/** Nothing of other servers of this machine. */
const data = mkdtempSync(join(tmpdir(), 'ertacache-load-'));

interface Served {
  readonly child: ChildProcess;
  readonly url: string;
}

async function serve(...more: string[]): Promise<Served> {
  const args = ['--backend', given.backend, '--threads', '1', 'serve', '--port', '0', '--log-level', 'error'];
  const child = spawn(process.execPath, [dist('cli.mjs'), ...args, '--data', data, ...more], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
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

/** Clients compute on the same processors as the server, so theirs are as lean as they can be. */
const agent = new Agent({ keepAlive: true, maxSockets: 1000 });

function picture(url: string, seed: number): Promise<number> {
  const body = JSON.stringify({ prompt: 'red heart', seed, steps, policy: 'none' });
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((done, fail) => {
    const asked = request(`${url}/v1/images/generations`, { method: 'POST', agent, headers }, answer => {
      const parts: Buffer[] = [];
      answer.on('data', part => parts.push(part));
      answer.once('error', fail);
      answer.once('end', () => {
        const hasPicture = Buffer.concat(parts).includes('"b64_json":"iVBOR');
        if (answer.statusCode === 200 && !hasPicture) fail(new Error('An answer has no picture.'));
        else done(answer.statusCode ?? 0);
      });
    });
    asked.once('error', fail);
    asked.end(body);
  });
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
  const catalog = await readCatalog([]);
  const { models } = catalog;
  const usual = await usualTogether(catalog);
  const most = given['max-batch'];
  const runner = processPool({
    count: WORKERS,
    log: pino({ level: 'silent' }),
    script: dist('draw-worker.mjs'),
    together: most === undefined ? usual : () => Number(most),
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

/** How long it takes to start, and what it costs when nobody asks. */
async function startAndIdle(): Promise<void> {
  const began = performance.now();
  const first = await serve('--workers', '1');
  await picture(first.url, 0);
  const took = (performance.now() - began) / 1000;
  const before = processorTime(first.child);
  say(`start to the first picture: ${took.toFixed(2)} s, ${before.toFixed(2)} s of processor time`);
  await wait(10_000);
  say(`idle for 10 s: ${(processorTime(first.child) - before).toFixed(2)} s of processor time`);
  first.child.kill('SIGTERM');
  await once(first.child, 'exit');
}

async function main(): Promise<void> {
  if (!given['only-load']) await startAndIdle();
  const [requests, clients, rounds] = [Number(given.requests), Number(given.clients), Number(given.rounds)];
  const most = given['max-batch'] === undefined ? [] : ['--max-batch', given['max-batch']];
  const { child, url } = await serve('--workers', String(WORKERS), '--max-queue', String(requests), ...most);
  const runner = await bareWorkers();
  const each = Math.ceil(requests / rounds);
  const pieceOf = (seed: number): Piece =>
    piecesOf(
      orderSchema.parse({
        request: { prompt: 'red heart', seed, steps, policy: 'none' },
        count: 1,
        output: { format: 'png' },
        previews: 0,
      }),
    )[0]!;
  const together = runner.mostTogether(pieceOf(0));
  /** What the workers do with nothing before them: batches as large as the server makes them. */
  const bare = async (batch: number): Promise<void> => {
    const count = Math.min(together, each - (batch % batches) * together);
    const { signal } = new AbortController();
    const pieces = Array.from({ length: count }, (_, row) => pieceOf(batch * together + row));
    await Promise.all(runner.draw(pieces.map(piece => ({ piece, signal, onEvent() {} }))));
  };
  const batches = Math.ceil(each / together);
  await inParallel(4, WORKERS, seed => picture(url, 1e6 + seed));
  await inParallel(4, WORKERS, bare);
  const spent = await figure(url, 'forwards_computed_total');
  const [own, all] = [processorTimeOf(child.pid), processorTime(child)];
  const statuses = new Map<number, number>();
  const ratios: number[] = [];
  let clientTime = 0;
  const bareWorkerTime = (): number => runner.health().workers.reduce((sum, { pid }) => sum + processorTimeOf(pid), 0);
  let [bareTime, bareOwn, overSeconds, withoutSeconds] = [0, 0, 0, 0];
  let early: readonly number[] = [];
  const held = async () => [await figure(url, 'worker_tensors'), await figure(url, 'worker_memory_bytes')];
  for (let round = 0; round < rounds; round++) {
    const started = process.cpuUsage();
    const over = await inParallel(each, clients, async index => {
      const status = await picture(url, round * each + index);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    });
    const { user, system } = process.cpuUsage(started);
    clientTime += (user + system) / 1e6;
    overSeconds += over;
    const [bareBefore, ownBefore] = [bareWorkerTime(), process.cpuUsage()];
    // Twice as many batches as workers: each has its next one while it draws, as it has from the server.
    const without = await inParallel(batches, 2 * WORKERS, index => bare(round * batches + index));
    withoutSeconds += without;
    bareTime += bareWorkerTime() - bareBefore;
    const spentHere = process.cpuUsage(ownBefore);
    bareOwn += (spentHere.user + spentHere.system) / 1e6;
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
  const ms = (seconds: number): string => `${((1000 * seconds) / (rounds * each)).toFixed(1)} ms`;
  say(
    `processor time for each picture: workers ${ms(allNow - all - (ownNow - own))}, server ${ms(ownNow - own)}, clients ${ms(clientTime)}`,
  );
  say(
    `without HTTP: workers ${ms(bareTime)}, who hands them batches ${ms(bareOwn)}; a picture takes ${ms(overSeconds)} and ${ms(withoutSeconds)}`,
  );
  const computed = (await figure(url, 'forwards_computed_total')) - spent;
  say(`forward passes for each picture: ${computed / (statuses.get(200) ?? 0)} of ${steps}`);
  const [[tensors, memory], [laterTensors, laterMemory]] = [early, await held()] as [number[], number[]];
  const megabytes = (bytes = 0): string => `${(bytes / 1e6).toFixed(0)} MB`;
  say(
    `workers after round 1 and at the end: ${tensors} and ${laterTensors} tensors, ${megabytes(memory)} and ${megabytes(laterMemory)}`,
  );
  await runner.close();
  if (!given['only-load']) await askHealth(url);
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** How soon `/healthz` answers. */
async function askHealth(url: string): Promise<void> {
  const health = async (when: string): Promise<void> => {
    const options = { url: `${url}/healthz`, connections: 4, duration: 10, overallRate: 200, workers: 1 };
    const { latency, non2xx } = await autocannon(options);
    say(`/healthz while ${when}: p50 ${latency.p50} ms, p99 ${latency.p99} ms, ${non2xx} refused`);
  };
  await health('nobody draws');
  let isBusy = true;
  const busy = inParallel(1e6, 2 * WORKERS, async seed => (isBusy ? picture(url, 2e6 + seed) : undefined));
  await health('both workers draw');
  isBusy = false;
  await busy;
}

main()
  .catch(error => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => rmSync(data, { recursive: true, force: true }));
