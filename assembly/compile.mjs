import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const folder = dirname(fileURLToPath(import.meta.url));

/** The builds: with fused products or without. */
const BUILDS = { fma: ['--enable', 'relaxed-simd'], plain: [] };

/** The text of `binary.ts`. */
export async function compile() {
  const lines = [
    '// Made by assembly/build.mjs from the sources beside it; a test compares them.',
    'export const binaries = {',
  ];
  for (const [level, flags] of Object.entries(BUILDS)) {
    const bytes = await compileOne(flags);
    lines.push(`  ${level}:`, `    '${Buffer.from(bytes).toString('base64')}',`);
  }
  return `${lines.join('\n')}\n} as const;\n`;
}

async function compileOne(flags) {
  const memory = ['--runtime', 'stub', '--importMemory', '--noExportMemory', '--initialMemory', '1', '--noAssert'];
  let binary;
  const { error, stderr } = await asc.main(
    [
      join(folder, 'index.ts'),
      '--baseDir',
      folder,
      '--outFile',
      'out.wasm',
      '-O3',
      '--converge',
      '--enable',
      'simd',
      ...memory,
      ...flags,
    ],
    {
      writeFile(name, contents) {
        if (name === 'out.wasm') binary = contents;
      },
    },
  );
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`);
  return binary;
}
