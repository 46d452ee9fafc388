import { defineConfig } from 'tsdown';

export default defineConfig([
  {
    entry: ['src/index.ts', 'src/core.ts'],
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
    // Runs in child processes, so it must lie beside the bundle as a file of its own.
    copy: ['src/engine/probe-child.cjs'],
  },
]);
