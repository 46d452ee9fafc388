/**
 * Runs the commands that write as processes, ends them at random moments by Ctrl-C, SIGTERM or SIGKILL, and checks that
 * nothing of the user's was touched, that no name holds half a file, and that the next run gives what an uninterrupted
 * one does. A second Ctrl-C follows some of the first ones. Needs a build (`npx tsdown`).
 *
 *   node bench/run.cjs bench/kills.ts [--kills 200] [--seed 1] [--only compare]
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isUnmeasured, plain, put, settled, tree } from '../test/io/tree';
import { numbers, REPOSITORY, startHub } from '../test/weights/hub';

const { values: given } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});

const root = resolve(__dirname, '..');
const cli = join(root, 'dist/cli.mjs');
const chance = numbers(Number(given.seed));
const pick = <T>(all: readonly T[]): T => all[Math.floor(chance() * all.length)] as T;

const good = join(root, 'test/fixtures/bad/good');
const wan = join(root, 'test/fixtures/transformers/wan_square/weights.safetensors');
const shipped = join(root, 'calibration/fluent-emoji-30steps-g3-15.json');
const quick = ['--steps', '4', '--pairs', '1', '--held-out', '0', '--search', 'walk'];
const sample = ['sample', 'red heart', '--steps', '2', '--policy', 'none'];
const small = ['--pairs', '2', '--calibration-pairs', '1', '--steps', '4', '--budgets', '2', '--timed-pairs', '0'];

const commands: Readonly<Record<string, (folder: string) => string[]>> = {
  png: folder => [...sample, '--out', join(folder, 'out.png')],
  gif: folder => [...sample, '--out', join(folder, 'out.gif')],
  frames: folder => [...sample, '--out', join(folder, 'out/')],
  convert: folder => ['convert', good, join(folder, 'out'), '--force'],
  export: folder => ['export', wan, join(folder, 'out'), '--force', '--shard-bytes', '20000'],
  download: folder => ['download', REPOSITORY, '--out', join(folder, 'out')],
  resample: folder => ['policy', 'resample', shipped, '--steps', '20', '--out', join(folder, 'out.json')],
  calibrate: folder => ['calibrate', ...quick, '--out', join(folder, 'out.json')],
  compare: folder => [
    'compare',
    ...small,
    '--methods',
    'uniform,ertacache',
    '--batch',
    '1',
    '--out',
    join(folder, 'out'),
  ],
};

/** The user's. */
const MINE = { 'notes.txt': 'mine', '.out.png.partial': 'mine', 'out.1.partial/a': 'mine', 'images/a.png': 'mine' };

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs a command. @param end what to send it, and after how long */
function run(args: readonly string[], env: NodeJS.ProcessEnv, end?: { signals: NodeJS.Signals[]; ms: number }) {
  return new Promise<Ended>(done => {
    const started = performance.now();
    const child = spawn(process.execPath, [cli, '--backend', 'wasm', ...args], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', text => {
      stderr += text;
    });
    const timers = end?.signals.map((signal, i) => setTimeout(() => child.kill(signal), end.ms + 60 * i)) ?? [];
    child.on('exit', (code, signal) => {
      for (const timer of timers) clearTimeout(timer);
      done({ code, signal, stderr, ms: performance.now() - started });
    });
  });
}

/** The first line that is not the same. */
function firstDifference(is = 'nothing', should = 'nothing'): string {
  const [a, b] = [is.split('\n'), should.split('\n')];
  const at = a.findIndex((line, i) => line !== b[i]);
  return `${a[at]?.slice(0, 80)} in place of ${b[at]?.slice(0, 80)}`;
}

async function main(): Promise<void> {
  if (!existsSync(cli)) throw new Error('Build first: npx tsdown');
  const { hub, server } = await startHub();
  const env = { ...process.env, HF_ENDPOINT: hub.endpoint };
  const base = mkdtempSync(join(tmpdir(), 'ertacache-kills-'));
  const names = Object.keys(commands).filter(name => !given.only || name === given.only);
  const whole = new Map<string, { files: Map<string, string>; ms: number; ready: string }>();
  for (const name of names) {
    const ready = join(base, name);
    mkdirSync(ready);
    put(ready, MINE);
    const { code, stderr, ms } = await run(commands[name]!(ready), env);
    if (code !== 0) throw new Error(`${name}: ${stderr}`);
    whole.set(name, { files: plain(tree(ready)), ms, ready });
  }

  const counts: Record<string, number> = {};
  const faults: string[] = [];
  const fault = (text: string): void => {
    faults.push(text);
    console.log(text);
  };
  for (let i = 0; i < Number(given.kills); i++) {
    const name = names[i % names.length] as string;
    const { files, ms, ready } = whole.get(name)!;
    const folder = join(base, `${i}`);
    // Every second time over what an earlier run wrote.
    if (i % 2 === 1 && !/compare|download/.test(name)) cpSync(ready, folder, { recursive: true });
    else put(folder, MINE);
    const signals = pick<NodeJS.Signals[]>([['SIGINT'], ['SIGTERM'], ['SIGKILL'], ['SIGKILL'], ['SIGINT', 'SIGINT']]);
    const at = chance() * ms;
    const where = `${i}: ${name}, ${signals} after ${at.toFixed(0)} ms`;
    const { code, signal, stderr } = await run(commands[name]!(folder), env, { signals, ms: at });
    const how = signal ?? `exit ${code}`;
    counts[`${signals}: ${how}`] = (counts[`${signals}: ${how}`] ?? 0) + 1;
    // Before the first line of the program runs, the system ends it without a word.
    if (code !== 0 && signal === null && (code !== 130 || !/Interrupted|Stopping/.test(stderr))) {
      fault(`${where}: exit ${code}: ${stderr.slice(-200)}`);
    }
    const left = plain(settled(folder));
    for (const [path, content] of Object.entries(MINE)) if (left.get(path) !== content) fault(`${where}: ${path} lost`);
    for (const [path, content] of left) {
      const isOnItsWay = /comparison\.json$|ertacache-download\.json$|^out\/references\//.test(path);
      if (isOnItsWay || isUnmeasured(content, files.get(path))) continue;
      if (content !== files.get(path)) fault(`${where}: ${path} is not as it should be`);
    }
    const again = await run(commands[name]!(folder), env);
    if (again.code !== 0) fault(`${where}: the next run: ${again.stderr.slice(-300)}`);
    const after = plain(tree(folder));
    for (const path of new Set([...after.keys(), ...files.keys()])) {
      if (after.get(path) !== files.get(path))
        fault(`${where}: ${path} differs after the next run: ${firstDifference(after.get(path), files.get(path))}`);
    }
    rmSync(folder, { recursive: true });
    if ((i + 1) % 10 === 0) console.log(`${i + 1} kills, ${faults.length} faults`);
  }
  server.closeAllConnections();
  server.close();
  rmSync(base, { recursive: true });
  for (const [how, count] of Object.entries(counts).sort()) console.log(`${String(count).padStart(5)}  ${how}`);
  console.log(`${given.kills} kills, ${faults.length} faults`);
  if (faults.length > 0) process.exitCode = 1;
}

main().catch(error => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
