/**
 * Compiles the kernels and writes them, as base64, to `src/nn/wasm/binary.ts`, which is what runs.
 *
 *   node assembly/build.mjs
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from './compile.mjs';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
writeFileSync(join(root, 'src/nn/wasm/binary.ts'), await compile());
