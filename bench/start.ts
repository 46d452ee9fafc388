/**
 * How long it takes from a command to its file, beside the sampling loop of a program that is warm: what starting,
 * loading and writing add. The two take turns, and so does `--help`. Needs a build (`npx tsdown`).
 *
 *   node bench/run.cjs bench/start.ts [--runs 7] [--backend wasm]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../src/metrics/statistics';

const { values: given } = parseArgs({
  options: { runs: { type: 'string', default: '7' }, backend: { type: 'string', default: 'wasm' } },
});

const root = resolve(__dirname, '..');
const cli = join(root, 'dist/cli.mjs');
const folder = mkdtempSync(join(tmpdir(), 'ertacache-start-'));

/** The second run of a program: its loop only. */
const WARM = `
  const { draw, loadModel, selectBackend } = await import(${JSON.stringify(pathToFileURL(join(root, 'dist/index.mjs')))});
  await selectBackend(${JSON.stringify(given.backend)});
  const model = await loadModel('fluent-emoji');
  await draw({ prompt: 'red heart', seed: 1 }, { model });
  console.log((await draw({ prompt: 'red heart', seed: 1 }, { model })).seconds);
`;

function seconds(args: readonly string[]): number {
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return (performance.now() - started) / 1000;
}

function warm(): number {
  const args = ['--input-type=module', '--eval', WARM];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return Number(stdout);
}

const help: number[] = [];
const whole: number[] = [];
const loop: number[] = [];
try {
  const sample = [cli, 'sample', 'red heart', '--seed', '1', '--backend', given.backend, '--out', 'heart.png'];
  for (let run = 0; run < Number(given.runs); run++) {
    help.push(seconds([cli, '--help']));
    whole.push(seconds(sample));
    loop.push(warm());
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const [h, w, l] = [median(help), median(whole), median(loop)];
console.log(`load ${loadavg()[0]?.toFixed(2)}, ${given.backend}, medians of ${given.runs} runs in turns`);
console.log(`--help          ${h.toFixed(2)} s`);
console.log(`command to file ${w.toFixed(2)} s`);
console.log(`warm loop       ${l.toFixed(2)} s`);
console.log(`beyond the loop ${(w - l).toFixed(2)} s; 1.6 loops and 0.4 s are ${(1.6 * l + 0.4).toFixed(2)} s`);
