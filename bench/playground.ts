/**
 * What a first visit to the playground costs: from an empty browser to the first cached picture and to the pair, bytes
 * that came before it, the longest task of the page's own thread, and the weight of its scripts without TensorFlow.js.
 * The server is this machine. Needs Chromium and a build (`npm run build`).
 *
 *   node bench/run.cjs bench/playground.ts [--runs 5] [--picture samples/showcase/playground.png]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { median } from '../src/metrics/statistics';
import { createPlayground } from '../src/server/http/playground';
import { listen } from '../src/server/listen';
import { startChromium } from '../test/support/chromium';

const { values: given } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, picture: { type: 'string' } },
});
const root = resolve(__dirname, '..');

/** What one visit saw, in milliseconds and bytes. */
interface Visit {
  readonly first: number;
  readonly pair: number;
  readonly bytes: number;
  readonly longest: number;
}

/** Set by the page's own watch. */
interface Watched {
  readonly done: Record<string, number>;
  readonly tasks: number[];
}

/** Notes when pictures are done, and tasks that hold the page's thread for 50 ms or more: browsers tell of no shorter ones. */
function watch(): void {
  const seen: Watched = { done: {}, tasks: [] };
  Object.assign(globalThis, { seen });
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) seen.tasks.push(entry.duration);
  }).observe({ type: 'longtask', buffered: true });
  new MutationObserver(() => {
    for (const tone of ['plain', 'strong']) {
      if (document.querySelector(`.easel.${tone}[data-state=done]`)) seen.done[tone] ??= performance.now();
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-state'] });
}

async function main(): Promise<void> {
  const sent: { readonly at: number; readonly bytes: number }[] = [];
  const app = createPlayground();
  const fetch = async (request: Request): Promise<Response> => {
    const response = await app.fetch(request);
    sent.push({ at: performance.now(), bytes: Number(response.headers.get('content-length') ?? 0) });
    return response;
  };
  const listening = await listen({ fetch }, { host: '127.0.0.1', port: 0 });
  const visits: Visit[] = [];
  try {
    for (let run = 0; run < Number(given.runs); run++) {
      const browser = await startChromium(['--disable-gpu']);
      try {
        visits.push(await visit(browser, listening.url, sent));
      } finally {
        await browser.close();
      }
    }
    if (given.picture !== undefined) await photograph(listening.url, given.picture);
  } finally {
    await listening.close();
  }
  await report(visits);
}

async function visit(browser: Browser, url: string, sent: { at: number; bytes: number }[]): Promise<Visit> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  await page.addInitScript(watch);
  sent.length = 0;
  await page.goto(`${url}/`);
  const seen = async (tone: string): Promise<number> => {
    const found = await page.waitForFunction(
      wanted => (globalThis as unknown as { seen: Watched }).seen.done[wanted],
      tone,
      { timeout: 120_000 },
    );
    return (await found.jsonValue()) as number;
  };
  const first = await seen('strong');
  const bytes = sent.reduce((sum, answer) => sum + answer.bytes, 0);
  const pair = await seen('plain');
  const tasks = await page.evaluate(() => (globalThis as unknown as { seen: Watched }).seen.tasks);
  return { first, pair, bytes, longest: Math.max(0, ...tasks) };
}

/** The page when the pair is drawn, for the README. */
async function photograph(url: string, path: string): Promise<void> {
  const browser = await startChromium(['--disable-gpu']);
  try {
    const page: Page = await browser.newPage({ viewport: { width: 1180, height: 816 }, deviceScaleFactor: 1.5 });
    await page.goto(`${url}/#/draw?prompt=rocket&seed=100`);
    await page.locator('.easel.strong[data-state=done]').waitFor({ timeout: 120_000 });
    await page.locator('.easel.plain[data-state=done]').waitFor({ timeout: 120_000 });
    await page.waitForTimeout(500);
    await page.screenshot({ path });
  } finally {
    await browser.close();
  }
}

const gzipped = (bytes: Uint8Array): number => gzipSync(bytes, { level: 9 }).length;

/** The worker's script without TensorFlow.js, as the build minifies it. */
async function workerWithout(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'src/browser/worker/main.ts')],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    external: ['@tensorflow/*', 'node:*', '*.wasm'],
    logLevel: 'error',
  });
  return outputFiles[0]!.contents;
}

async function report(visits: readonly Visit[]): Promise<void> {
  const assets = join(root, 'dist/playground/assets');
  const [script = ''] = readdirSync(assets).filter(name => /^index-.*[.]js$/.test(name));
  const page = gzipped(readFileSync(join(assets, script)));
  const worker = gzipped(await workerWithout());
  const of = (pick: (visit: Visit) => number): number => median(visits.map(pick));
  const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(0)} kB`;
  const longest = Math.max(...visits.map(v => v.longest));
  console.log(`load ${loadavg()[0]?.toFixed(2)}, medians of ${visits.length} first visits`);
  console.log(`first cached picture   ${(of(v => v.first) / 1000).toFixed(2)} s`);
  console.log(`pair                   ${(of(v => v.pair) / 1000).toFixed(2)} s`);
  console.log(`bytes before it        ${(of(v => v.bytes) / 1e6).toFixed(2)} MB`);
  console.log(
    `scripts, gzipped       ${kilobytes(page + worker)}: page ${kilobytes(page)}, worker without TensorFlow.js ${kilobytes(worker)}`,
  );
  console.log(
    `longest task           ${longest === 0 ? 'under 50 ms' : `${longest.toFixed(0)} ms`} (the worst of all visits)`,
  );
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
