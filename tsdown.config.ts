import { defineConfig } from 'tsdown';

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
  {
    entry: ['src/cli.ts'],
    format: ['esm'],
    dts: false,
    shims: true,
    platform: 'node',
    target: 'node20',
    clean: false,
    // Run in processes and threads of their own, so they must lie beside the bundle as files.
    copy: ['probe-child', 'legacy-util', 'wasm-thread', 'webgpu-in-node'].map(name => `src/engine/${name}.cjs`),
  },
]);
