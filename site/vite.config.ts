import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join, resolve, sep } from 'node:path';
import { type Connect, defineConfig, type Plugin } from 'vite';

const root = resolve(import.meta.dirname, '..');

/** Names of the policies that lie beside the models; a page cannot list a folder. */
const policies = readdirSync(resolve(root, 'calibration'))
  .filter(name => name.endsWith('.json'))
  .map(name => name.replace(/[.]json$/, ''));

/** What the page finds beside it: models, policies and the library's worker, wherever they lie in a clone. */
const BESIDE = [
  ['models/', 'converted-models'],
  ['calibration/', 'calibration'],
  ['browser/', 'dist/browser'],
] as const;

const TYPES: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Serves that to `npm run playground`; `ertacache playground` does the same for the built page. */
const beside = (): Plugin => ({
  name: 'beside-the-page',
  configureServer: ({ middlewares }) => serveBeside(middlewares),
  configurePreviewServer: ({ middlewares }) => serveBeside(middlewares),
});

function serveBeside(middlewares: Connect.Server): void {
  middlewares.use((request, response, next) => {
    const path = new URL(request.url ?? '/', 'http://page').pathname.slice(1);
    const [from, folder] = BESIDE.find(([start]) => path.startsWith(start)) ?? [];
    const file = from && join(root, folder as string, decodeURIComponent(path.slice(from.length)));
    if (!file?.startsWith(join(root, folder as string) + sep) || !existsSync(file)) return next();
    response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
    for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    createReadStream(file).pipe(response);
  });
}

/** What gives a page threads. */
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Of what lies beside the page, what it needs on WebAssembly. */
const NEEDED = /^(worker|mp4)[.]mjs$|[.](wasm|json|safetensors)$/;

/** Tells the service worker which files the page is made of, and names their version. */
const precache = (): Plugin => ({
  name: 'precache-list',
  apply: 'build',
  generateBundle(_, bundle) {
    const worker = bundle['service-worker.js'];
    if (worker?.type !== 'chunk') return;
    const files = Object.keys(bundle).filter(name => !/^service-worker[.]js$|[.](map|html)$/.test(name));
    const own = ['icon.svg', 'manifest.webmanifest'];
    const folders = BESIDE.filter(([path]) => path !== 'models/');
    const library = folders.flatMap(([path, folder]) =>
      readdirSync(join(root, folder))
        .filter(name => NEEDED.test(name))
        .map(name => [path + name, join(root, folder, name)] as const),
    );
    const hash = createHash('sha256');
    for (const name of files) {
      const file = bundle[name];
      hash.update(file?.type === 'chunk' ? file.code : (file?.source ?? ''));
    }
    for (const name of own) hash.update(readFileSync(resolve(import.meta.dirname, 'public', name)));
    for (const [, file] of library) hash.update(readFileSync(file));
    const all = ['./', ...files, ...own, ...library.map(([name]) => name)];
    worker.code = worker.code
      .replace('__FILES__', JSON.stringify(all))
      .replace('__BUILD__', JSON.stringify(hash.digest('hex').slice(0, 16)));
  },
});

export default defineConfig({
  root: import.meta.dirname,
  // Relative to the page, so that it runs under any path.
  base: './',
  // The library without what runs a model on the page's own thread.
  resolve: { alias: { 'ertacache/browser': resolve(root, 'dist/browser/client.mjs') } },
  plugins: [beside(), precache()],
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  define: { __POLICIES__: JSON.stringify(policies) },
  build: {
    outDir: resolve(root, 'dist/playground'),
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      // Comments that another bundler understands.
      onwarn: (warning, warn) => warning.code !== 'INVALID_ANNOTATION' && warn(warning),
      input: {
        index: resolve(import.meta.dirname, 'index.html'),
        'service-worker': resolve(import.meta.dirname, 'src/offline/service-worker.ts'),
      },
      output: { entryFileNames: ({ name }) => (name === 'service-worker' ? '[name].js' : 'assets/[name]-[hash].js') },
    },
  },
  preview: { headers: ISOLATION },
  server: {
    headers: ISOLATION,
    fs: { allow: [root] },
  },
});
