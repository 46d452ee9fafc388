/**
 * What a page costs, in Chromium on this machine, beside Node: a cold visit to the first cached picture and what it
 * transfers, the time of a picture beside that of Node, threads beside one, and the memory that `terminate` gives back, twice in a row.
 * Runs take turns; medians are printed. Needs a build (`npx tsdown`) and Chromium.
 *
 *   node bench/run.cjs bench/browser.ts [--runs 5] [--threads 2]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { median } from '../src/metrics/statistics';
import { openTab } from '../test/browser/tab';

const { values: given } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(Math.min(8, availableParallelism())) },
  },
});
const runs = Number(given.runs);
const threads = Number(given.threads);
const root = resolve(__dirname, '..');
const POLICIES = ['/calibration/fluent-emoji-30steps-g3-15.json'];

/** From an empty browser to the first cached picture: seconds, and bytes that the server sent. */
async function coldVisit(): Promise<{ seconds: number; bytes: number }> {
  const tab = await openTab();
  const opened = performance.now();
  await tab.page.evaluate(async policies => {
    const client = erta.createClient({
      worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
      backend: 'wasm',
    });
    await client.load('/models/fluent-emoji', { policies });
    const { media } = await client.draw({ prompt: 'red heart', seed: 1 });
    erta.drawTo(document.querySelector('canvas')!, media);
    client.terminate();
  }, POLICIES);
  const seconds = (performance.now() - opened) / 1000;
  const bytes = tab.site.sent.reduce((sum, file) => sum + file.bytes, 0);
  await tab.close();
  return { seconds, bytes };
}

/** Sampling time of a picture in a page that is warm. */
async function pageSeconds(): Promise<number> {
  const tab = await openTab();
  const seconds = await tab.page.evaluate(async policies => {
    const client = erta.createClient({
      worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
      backend: 'wasm',
    });
    await client.load('/models/fluent-emoji', { policies });
    await client.draw({ prompt: 'red heart', seed: 1 });
    const { seconds } = await client.draw({ prompt: 'red heart', seed: 1 });
    client.terminate();
    return seconds;
  }, POLICIES);
  await tab.close();
  return seconds;
}

const NODE = `
  const { draw, loadModel, selectBackend } = await import(${JSON.stringify(pathToFileURL(join(root, 'dist/index.mjs')))});
  await selectBackend('wasm');
  const model = await loadModel('fluent-emoji');
  await draw({ prompt: 'red heart', seed: 1 }, { model });
  console.log((await draw({ prompt: 'red heart', seed: 1 }, { model })).seconds);
`;

function nodeSeconds(): number {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', NODE], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return Number(stdout);
}

/** Work that is large enough for threads: calibration runs eight pictures, guided, at a time. */
async function batchSeconds(count: number): Promise<number> {
  const tab = await openTab({ isolated: true });
  const seconds = await tab.page.evaluate(async threads => {
    const worker = () => new Worker('/lib/worker.mjs', { type: 'module' });
    const client = erta.createClient({ worker, backend: 'wasm', threads });
    await client.load('/models/fluent-emoji');
    const request = { schedule: { schedule: '##.##' }, pairs: 8, heldOut: 0, batch: 8, rectify: 'off' } as const;
    const { seconds } = await client.calibrate(request);
    client.terminate();
    return seconds;
  }, count);
  await tab.close();
  return seconds;
}

/** What a process holds of its own, as Chromium itself counts it: pages without a file, in memory and swapped out. */
function footprint(id: number): number {
  const status = readFileSync(`/proc/${id}/status`, 'utf8');
  const bytes = (name: string): number => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return bytes('RssAnon') + bytes('VmSwap');
}

/** The same of every process that renders pages, by its number. */
async function footprints(browser: Browser): Promise<Map<number, number>> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return new Map(processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => [id, footprint(id)]));
}

/** Chromium gives memory back to the system some time after it is free: so often it is collected and looked at. */
const LOOKS = 10;
const BETWEEN_MS = 5000;

/** Memory of the page before a client, and of two clients one after the other: with a model that has drawn, and after `terminate`. */
async function memory(): Promise<{ before: number; drawn: number[]; after: number[] }> {
  const tab = await openTab({ args: ['--js-flags=--expose-gc'] });
  /** The least that each process holds in that time. */
  const settled = async (): Promise<Map<number, number>> => {
    const least = new Map<number, number>();
    for (let look = 0; look < LOOKS; look++) {
      await tab.page.evaluate(() => (globalThis as unknown as { gc(): void }).gc());
      await tab.page.waitForTimeout(BETWEEN_MS);
      for (const [id, bytes] of await footprints(tab.browser)) least.set(id, Math.min(bytes, least.get(id) ?? bytes));
    }
    return least;
  };
  const visit = async (): Promise<void> =>
    tab.page.evaluate(async policies => {
      globalThis.client = erta.createClient({
        worker: () => new Worker('/lib/worker.mjs', { type: 'module' }),
        backend: 'wasm',
      });
      await client.load('/models/fluent-emoji', { policies });
      await client.draw({ prompt: 'red heart', seed: 1 });
    }, POLICIES);
  // What the first worker of a page leaves to the browser itself is no part of a client.
  await tab.page.evaluate(async () => {
    const worker = new Worker(URL.createObjectURL(new Blob(['postMessage(0)'])));
    await new Promise(resolve => worker.addEventListener('message', resolve));
    worker.terminate();
  });
  const before = await settled();
  const drawn: Map<number, number>[] = [];
  const after: Map<number, number>[] = [];
  for (let round = 0; round < 2; round++) {
    await visit();
    drawn.push(await footprints(tab.browser));
    await tab.page.evaluate(() => client.terminate());
    after.push(await settled());
  }
  await tab.close();
  // Others render nothing of ours: the page's process is the one that a model makes larger.
  const growth = (id: number): number => (drawn[0]?.get(id) ?? 0) - (before.get(id) ?? 0);
  const [page = 0] = [...before.keys()].sort((a, b) => growth(b) - growth(a));
  const of = (each: Map<number, number>): number => each.get(page) ?? 0;
  return { before: of(before), drawn: drawn.map(of), after: after.map(of) };
}

async function main(): Promise<void> {
  const chromium = execFileSync('chromium', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  console.log(`load ${loadavg()[0]?.toFixed(2)}, ${chromium.trim()}, medians of ${runs} runs in turns`);
  for (const name of ['client', 'worker']) {
    const script = readFileSync(join(root, `dist/browser/${name}.mjs`));
    console.log(`${name}.mjs`.padEnd(28), `${(gzipSync(script).length / 1e3).toFixed(0)} kB gzipped`);
  }
  const [cold, bytes, page, node] = [[], [], [], []] as [number[], number[], number[], number[]];
  for (let run = 0; run < runs; run++) {
    const visit = await coldVisit();
    cold.push(visit.seconds);
    bytes.push(visit.bytes);
    page.push(await pageSeconds());
    node.push(nodeSeconds());
  }
  console.log(
    'cold visit to first picture'.padEnd(28),
    `${median(cold).toFixed(2)} s, ${(median(bytes) / 1e6).toFixed(2)} MB`,
  );
  const ratio = median(page) / median(node);
  console.log(
    'picture, page : Node'.padEnd(28),
    `${median(page).toFixed(2)} s : ${median(node).toFixed(2)} s = ${ratio.toFixed(2)}`,
  );
  const [one, several] = [[], []] as [number[], number[]];
  for (let run = 0; run < Math.min(runs, 3); run++) {
    one.push(await batchSeconds(1));
    several.push(await batchSeconds(threads));
  }
  const faster = median(one) / median(several);
  console.log(
    `1 : ${threads} threads`.padEnd(28),
    `${median(one).toFixed(1)} s : ${median(several).toFixed(1)} s = ${faster.toFixed(2)}`,
  );
  if (process.platform === 'linux') {
    const { before, drawn, after } = await memory();
    const megabytes = (bytes = 0): string => `${(bytes / 1e6).toFixed(1)} MB`;
    const rounds = drawn.map(
      (bytes, i) => `${megabytes(bytes)} with a model, ${megabytes(after[i])} after terminate()`,
    );
    console.log('memory of the page'.padEnd(28), `${megabytes(before)} before, ${rounds.join(', ')}`);
    console.log(
      'left of it'.padEnd(28),
      after.map(bytes => `${((bytes / before - 1) * 100).toFixed(0)} %`).join(', then '),
    );
  }
}

void main();
