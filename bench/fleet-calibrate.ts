/**
 * A calibration by one worker and by two, each pinned to a processor: the time that it takes, and whether the policy is
 * the same. Needs `redis-server`, a build (`npx tsdown`) and Linux.
 *
 *   node bench/run.cjs bench/fleet-calibrate.ts [--pairs 16] [--steps 20] [--batch 8] [--backend native] [--rounds 1]
 *     [--model fluent-emoji | --model flux | --model minit2i-b-16] [--side 512]
 *
 * A model that does not ship has made-up weights and is written and deleted: `flux` is two blocks of FLUX.1's width (0.6 GB),
 * the others are presets of MiniT2I (1.2 GB for B/16). `--side` is the size of its pictures.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { calibrate } from '../src/calibration/calibrate';
import { measurePolicy } from '../src/calibration/measure';
import { splitPairs } from '../src/calibration/pairs';
import { selectBackend } from '../src/engine/select';
import { queueAddress } from '../src/fleet/address';
import { farPipeline } from '../src/fleet/far-model';
import { createParts } from '../src/fleet/parts';
import { openQueue } from '../src/fleet/queue';
import { loadModel } from '../src/pipelines/load';
import { policyHash } from '../src/policy/hash';
import { atSize } from '../src/sampling/at-size';
import { startRedis } from '../test/support/redis';
import { writeFlux } from './flux-folder';
import { busySeconds } from './measure/busy-seconds';
import { writeMiniT2I } from './minit2i-folder';

const { values: given } = parseArgs({
  options: {
    pairs: { type: 'string', default: '16' },
    steps: { type: 'string', default: '20' },
    batch: { type: 'string', default: '8' },
    backend: { type: 'string', default: 'native' },
    rounds: { type: 'string', default: '1' },
    model: { type: 'string', default: 'fluent-emoji' },
    side: { type: 'string', default: '512' },
  },
});
const NAME = given.model;
const isFlux = NAME === 'flux';
const folder = isFlux || NAME.startsWith('minit2i') ? mkdtempSync(join(tmpdir(), 'ertacache-fleet-')) : undefined;

/** @param children takes the workers, also those of a start that fails */
async function startWorkers(count: number, url: string, children: ChildProcess[]): Promise<void> {
  for (let i = 0; i < count; i++) {
    const cli = [resolve(__dirname, '../dist/cli.mjs'), '--backend', given.backend, '--threads', '1', 'worker'];
    const model = folder ? ['--model', `${NAME}=${folder}`] : [];
    const args = ['-c', String(i), process.execPath, ...cli, '--queue', url, '--log-level', 'error', ...model];
    const child = spawn('taskset', args, { stdio: ['ignore', 'inherit', 'pipe'] });
    children.push(child);
    let told = '';
    child.stderr.on('data', data => (told += data));
    while (!told.includes('takes jobs')) {
      if (child.exitCode !== null) throw new Error(told);
      await wait(20);
    }
  }
}

interface Timed {
  readonly seconds: number;
  /** Processor time of this process, and of the workers. */
  readonly own: number;
  readonly theirs: number;
  readonly hash: string;
}

/** A calibration with its measuring: how long it takes, and the policy that it finds. */
async function timed(count: number): Promise<Timed> {
  const redis = await startRedis('--appendfsync', 'everysec');
  const children: ChildProcess[] = [];
  try {
    await startWorkers(count, redis.url, children);
    return await timedWith(redis.url, children);
  } finally {
    // Also those of a run that failed.
    for (const child of children) {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await redis.stop();
  }
}

async function timedWith(url: string, children: readonly ChildProcess[]): Promise<Timed> {
  const queue = await openQueue({ address: queueAddress(url), place: 'any' });
  const parts = await createParts(queue);
  const own = await loadModel(folder ?? NAME);
  const side = Number(given.side);
  const far = farPipeline(own, { model: NAME, loading: {} }, parts);
  const pipeline = isFlux ? atSize(far, { size: { width: side, height: side } }) : far;
  const made = Array.from({ length: Number(given.pairs) + 1 }, (_, i) => `a red fox in the snow, from ${i} metres`);
  const { calibration: pairs } = splitPairs(folder ? made : own.info.prompts, Number(given.pairs), 1);
  const batch = Number(given.batch);
  const run = { pairs, steps: Number(given.steps), guidance: own.info.defaults.guidance, batch };
  const schedule = { computed: Math.round(run.steps / 2) };
  // The first pass also loads.
  await calibrate(pipeline, {
    ...run,
    pairs: pairs.slice(0, children.length * batch),
    steps: 4,
    schedule: { computed: 2 },
  });
  const busy = (): [number, number] => [
    busySeconds(process.pid) - children.reduce((sum, { pid }) => sum + busySeconds(pid as number), 0),
    children.reduce((sum, { pid }) => sum + busySeconds(pid as number), 0),
  ];
  const [ownBefore, theirsBefore] = busy();
  const started = performance.now();
  const policy = await calibrate(pipeline, { ...run, schedule });
  await measurePolicy(pipeline, policy, pairs, { batch });
  const seconds = (performance.now() - started) / 1000;
  const [ownAfter, theirsAfter] = busy();
  parts.close();
  await queue.close();
  own.dispose();
  return { seconds, own: ownAfter - ownBefore, theirs: theirsAfter - theirsBefore, hash: policyHash(policy) };
}

async function main(): Promise<void> {
  await selectBackend(given.backend as 'native', { threads: 1 });
  if (isFlux && folder) writeFlux(folder);
  else if (folder) writeMiniT2I(folder, NAME, Number(given.side));
  for (let round = 0; round < Number(given.rounds); round++) {
    const [one, two] = [await timed(1), await timed(2)];
    console.log(
      `calibrating ${NAME}${folder ? ` (${given.side} pixels)` : ''} on ${given.pairs} pairs, ${given.steps} steps, ${given.backend}: one worker ${one.seconds.toFixed(1)} s, ` +
        `two ${two.seconds.toFixed(1)} s: ${(one.seconds / two.seconds).toFixed(2)} ×, ` +
        `${one.hash === two.hash ? 'the same policy' : 'ANOTHER POLICY'}  (load ${loadavg()[0]?.toFixed(1)})`,
    );
    for (const [count, { own, theirs, seconds }] of [[1, one] as const, [2, two] as const]) {
      const share = (100 * theirs) / seconds / count;
      console.log(
        `  ${count}: workers busy ${share.toFixed(0)} %, this process and Redis ${own.toFixed(1)} s of a processor`,
      );
    }
    if (one.hash !== two.hash) process.exitCode = 1;
  }
}

main()
  .catch(error => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => {
    if (folder) rmSync(folder, { recursive: true, force: true });
    process.exit();
  });
