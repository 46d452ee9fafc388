import { defineConfig } from 'tsdown';

/** Modules of Node that TensorFlow.js asks for where there is Node. */
const nodeOnly = {
  name: 'node-only',
  resolveId: {
    filter: { id: /^(node-fetch|util|string_decoder|crypto|fs|path|os|worker_threads|perf_hooks|url)$/ },
    handler: (id: string) => `\0node-only-${id}`,
  },
  load: { filter: { id: /^\0node-only-/ }, handler: () => 'export default undefined' },
};

/**
 * TensorFlow.js hands the text of its threaded module to the threads it starts, where nothing around it exists. What the
 * text asks of its surroundings, it asks by `typeof`, which minifiers take for granted of a variable that they see.
 */
const threadText = {
  name: 'thread-text',
  transform: {
    filter: { id: /wasm-out[\\/]tfjs-backend-wasm-threaded-simd\.js$/ },
    handler: (code: string) =>
      code
        .replace('if(typeof _scriptDir !== "undefined" && _scriptDir){scriptDirectory=_scriptDir}', '')
        .replace('||_scriptDir', ''),
  },
};

/**
 * Node reads a CommonJS module that is imported twice: once for the names that it exports, in JavaScript of its own, and
 * once to run it. Of TensorFlow.js the first takes longer than the second, so a command requires it.
 */
const required = {
  name: 'required',
  renderChunk(code: string): string {
    const whole = /^import \* as ([\w$]+) from "(@tensorflow\/[\w-]+)";$/gm;
    const named = /^import (\{[^}]*\}) from "(@tensorflow\/[\w-]+)";$/gm;
    const later = /\bimport\("(@tensorflow\/[\w-]+)"\)/g;
    const create = 'import { createRequire as requireFrom } from "node:module";\n';
    const changed = code
      .replace(whole, 'const $1 = requireFrom(import.meta.url)("$2");')
      .replace(
        named,
        (_, names: string, from) =>
          `const ${names.replaceAll(' as ', ': ')} = requireFrom(import.meta.url)("${from}");`,
      )
      .replace(later, 'Promise.resolve(requireFrom(import.meta.url)("$1"))');
    return changed === code ? code : create + changed;
  },
};

export default defineConfig([
  {
    entry: {
      ...Object.fromEntries(
        ['index', 'core', 'cache', 'models', 'server'].map(name => [name, `src/entries/${name}.ts`]),
      ),
      // A process of its own, which lies beside what starts it.
      'draw-worker': 'src/server/workers/draw-worker.ts',
    },
    format: ['esm', 'cjs'],
    dts: true,
    shims: true,
    platform: 'node',
    target: 'node20',
  },
  // By itself: what it shares with the others would bring their schemas into every page.
  {
    entry: { browser: 'src/entries/browser.ts' },
    format: ['esm', 'cjs'],
    dts: true,
    platform: 'browser',
    target: 'es2022',
    fixedExtension: true,
    clean: false,
    deps: { alwaysBundle: ['ndarray'], onlyBundle: false as const },
  },
  // What a page takes as it is, without a bundler: each script whole, TensorFlow.js included, its files beside it.
  ...Object.entries({
    worker: 'src/browser/worker/main.ts',
    client: 'src/browser/client/page.ts',
    webgl: 'src/browser/worker/webgl.ts',
    webgpu: 'src/browser/worker/webgpu.ts',
    mp4: 'src/browser/worker/mp4.ts',
  }).map(([name, file], i) => ({
    entry: { [name]: file },
    outDir: 'dist/browser',
    format: ['esm' as const],
    dts: false,
    platform: 'browser' as const,
    target: 'es2022',
    minify: true,
    clean: false,
    fixedExtension: true,
    deps: { alwaysBundle: [/./], onlyBundle: false as const },
    // Where TensorFlow.js asks whether there is Node, webpack would answer that there is.
    define: { __filename: 'undefined', __dirname: 'undefined' },
    plugins: [nodeOnly, threadText],
    outputOptions: { codeSplitting: false },
    copy:
      i > 0
        ? []
        : [
            ...['', '-simd', '-threaded-simd'].map(
              form => `node_modules/@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm${form}.wasm`,
            ),
            'node_modules/@jsquash/webp/codec/enc/webp_enc_simd.wasm',
          ],
  })),
  {
    entry: ['src/cli.ts'],
    format: ['esm'],
    dts: false,
    shims: true,
    platform: 'node',
    target: 'node20',
    clean: false,
    // Their many small files take longer to open than to run.
    deps: { alwaysBundle: ['zod', 'commander', 'fflate', /^@noble\/hashes/], onlyBundle: false },
    plugins: [required],
    // Run in processes and threads of their own, so they must lie beside the bundle as files.
    copy: ['probe-child', 'legacy-util', 'wasm-thread', 'webgpu-in-node'].map(name => `src/engine/${name}.cjs`),
  },
]);
