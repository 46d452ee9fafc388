/** The pages of docs/in-a-browser.md, made by each bundler and by none. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import type { Browser } from 'playwright-core';
import { draw } from '../../src/draw/on-disk';
import { run } from '../../src/engine/run';
import { selectBackend } from '../../src/engine/select';
import { packageRoot } from '../../src/io/package-root';
import { toBytes } from '../../src/media/pixels';
import { placedBlocks } from '../docs/pages';
import { requireBuilt } from '../library/built-package';
import { describeInBrowser, startChromium } from '../support/chromium';
import { serveSite } from '../support/site';

// One folder for all tests: each bundler adds its own part.
const folder = mkdtempSync(join(tmpdir(), 'ertacache-bundlers-'));
const scratch = { path: (...names: string[]): string => join(folder, ...names) };
const root = packageRoot();
const MODEL = 'fluent-emoji';

/** A block of the page, by the name that it gives the file. */
function block(path: string): string {
  return placedBlocks('in-a-browser', 'file').find(found => found.path === path)!.text;
}

/** A project of somebody who followed the page. */
function project(): void {
  const modules = scratch.path('node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name), 'dir');
  }
  for (const part of ['package.json', 'dist'])
    cpSync(join(root, part), join(modules, 'ertacache', part), { recursive: true });
  writeFileSync(scratch.path('package.json'), '{ "private": true, "type": "module" }');
  const copy = (from: string, to: string) => cpSync(join(root, from), scratch.path('public', to), { recursive: true });
  copy(`converted-models/${MODEL}`, `models/${MODEL}`);
  copy('calibration', 'policies');
  copy('dist/browser', 'ertacache');
  writeFileSync(scratch.path('index.html'), block('index.html'));
  writeFileSync(scratch.path('main.js'), block('main.js'));
}

async function program(script: string): Promise<void> {
  const { code, stdout, stderr } = await run(process.execPath, [script], { cwd: scratch.path() });
  if (code !== 0) throw new Error(`${stdout}${stderr}`);
}

describeInBrowser('the page of the documentation', () => {
  let browser: Browser;
  let expected: Uint8Array;
  beforeAll(async () => {
    await requireBuilt();
    await selectBackend('wasm');
    expected = toBytes((await draw({ prompt: 'red heart', seed: 1 })).media);
    browser = await startChromium();
    project();
  }, 120_000);
  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a page's canvas shows, once it shows something. */
  async function shownAt(address: string): Promise<Uint8Array> {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', error => errors.push(String(error.stack)));
    await page.goto(address);
    try {
      const shown = await page.waitForFunction(
        () => {
          const canvas = document.querySelector('canvas');
          if (canvas?.width !== 64) return undefined;
          const { data } = canvas.getContext('2d')!.getImageData(0, 0, 64, 64);
          return data[3] === 255 ? [...data].filter((_, i) => i % 4 !== 3) : undefined;
        },
        undefined,
        { timeout: 60_000 },
      );
      return Uint8Array.from((await shown.jsonValue())!);
    } catch (error) {
      throw new Error([String(error), ...errors].join('\n'));
    } finally {
      await page.close();
    }
  }

  async function shownIn(part: string, path = '/'): Promise<Uint8Array> {
    const site = await serveSite({ folders: { '': scratch.path(part) } });
    try {
      return await shownAt(`${site.address}${path}`);
    } finally {
      await site.close();
    }
  }

  test('draws as built by Vite, without any setting', async () => {
    const { code, stdout, stderr } = await run(
      process.execPath,
      [join(root, 'node_modules/vite/bin/vite.js'), 'build'],
      { cwd: scratch.path() },
    );
    expect(`${code} ${stdout}${stderr}`).toMatch(/^0 /);
    expect(await shownIn('dist')).toEqual(expected);
  }, 180_000);

  test('draws as served by Vite while one works on it', async () => {
    writeFileSync(
      scratch.path('serve.mjs'),
      `import { createServer } from 'vite';
       const server = await createServer({ server: { port: 0, host: '127.0.0.1' }, logLevel: 'error' });
       await server.listen();
       console.log(server.resolvedUrls.local[0]);`,
    );
    const { spawn } = await import('node:child_process');
    const server = spawn(process.execPath, ['serve.mjs'], {
      cwd: scratch.path(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const address = await new Promise<string>(resolve =>
        server.stdout.once('data', data => resolve(String(data).trim())),
      );
      expect(await shownAt(address)).toEqual(expected);
    } finally {
      server.kill();
    }
  }, 180_000);

  test('draws as built by webpack', async () => {
    writeFileSync(
      scratch.path('webpack.mjs'),
      `import webpack from 'webpack';
       // What is minified already would be minified for a minute more.
       const optimization = { minimize: false };
       const config = { mode: 'production', optimization, entry: './main.js', output: { path: ${JSON.stringify(scratch.path('webpack'))} } };
       webpack(config, (error, stats) => {
         if (error || stats.hasErrors()) throw error ?? new Error(stats.toString('errors-only'));
       });`,
    );
    await program('webpack.mjs');
    cpSync(scratch.path('public'), scratch.path('webpack'), { recursive: true });
    writeFileSync(scratch.path('webpack/index.html'), block('index.html'));
    expect(await shownIn('webpack')).toEqual(expected);
  }, 180_000);

  test('draws as built by esbuild, with the worker that lies on the server', async () => {
    const asked = "new Worker(new URL('ertacache/browser-worker', import.meta.url), { type: 'module' })";
    const own = "new Worker('/ertacache/worker.mjs', { type: 'module' })";
    expect(block('main.js')).toContain(asked);
    expect(readFileSync(join(root, 'docs/in-a-browser.md'), 'utf8')).toContain(`| \`${own}\` |`);
    writeFileSync(scratch.path('esbuild.js'), block('main.js').replace(asked, own));
    writeFileSync(
      scratch.path('esbuild.mjs'),
      `import { build } from 'esbuild';
       await build({ entryPoints: ['esbuild.js'], bundle: true, minify: true, format: 'esm', outfile: 'public/main.js' });`,
    );
    await program('esbuild.mjs');
    writeFileSync(scratch.path('public/index.html'), block('index.html'));
    expect(await shownIn('public')).toEqual(expected);
  }, 120_000);

  test('draws without a bundler', async () => {
    writeFileSync(scratch.path('public/plain.html'), block('plain.html'));
    expect(await shownIn('public', '/plain.html')).toEqual(expected);
  }, 120_000);

  test('caches a model of TensorFlow.js that is one of its own', async () => {
    const inputs = [layers.input({ shape: [4] }), layers.input({ shape: [1] })];
    const joined = layers.layers.concatenate().apply(inputs) as layers.SymbolicTensor;
    const output = layers.layers.dense({ units: 4 }).apply(joined) as layers.SymbolicTensor;
    const model = layers.model({ inputs, outputs: output });
    mkdirSync(scratch.path('public/my-model'), { recursive: true });
    await model.save(
      tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
        const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }];
        const json = { modelTopology, weightsManifest, format: 'layers-model' };
        writeFileSync(scratch.path('public/my-model/model.json'), JSON.stringify(json));
        writeFileSync(scratch.path('public/my-model/weights.bin'), Buffer.from(weightData as ArrayBuffer));
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
      }),
    );
    model.dispose();
    writeFileSync(scratch.path('own.js'), block('own.js'));
    writeFileSync(
      scratch.path('own.html'),
      '<!doctype html><body><script type="module" src="/own.js"></script></body>',
    );
    writeFileSync(
      scratch.path('vite-own.mjs'),
      `import { build } from 'vite';
       const build_ = { outDir: 'own', copyPublicDir: true, rollupOptions: { input: 'own.html' } };
       await build({ logLevel: 'error', configFile: false, build: build_ });`,
    );
    await program('vite-own.mjs');
    const site = await serveSite({ folders: { '': scratch.path('own') } });
    const page = await browser.newPage();
    await page.goto(`${site.address}/own.html`);
    await page.waitForFunction(() => /\d of/.test(document.body.textContent ?? ''), undefined, { timeout: 30_000 });
    expect(await page.evaluate(() => document.body.textContent)).toMatch(/^10 of 20: (-?[\d.e-]+,?){4}$/);
    await page.close();
    await site.close();
  }, 120_000);
});
