import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binaries } from '../../../src/nn/wasm/binary';

const root = join(__dirname, '../../..');

interface Module {
  validate(bytes: Uint8Array): boolean;
  Module: { new (bytes: Uint8Array): object; imports(module: object): { module: string; name: string }[] };
}
const { WebAssembly } = globalThis as unknown as { WebAssembly: Module };

test('the kernels that run are those of the sources', () => {
  const program = "import('./assembly/compile.mjs').then(async m => process.stdout.write(await m.compile()))";
  const compiled = execFileSync(process.execPath, ['--eval', program], { cwd: root, encoding: 'utf8' });
  // Not the texts themselves, which would fill the screen.
  expect(readFileSync(join(root, 'src/nn/wasm/binary.ts'), 'utf8') === compiled).toBe(true);
}, 120_000);

describe.each(Object.entries(binaries))('%s', (_, base64) => {
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));

  test('is small, and holds no data, which would lie in the middle of the memory of tfjs', () => {
    expect(bytes.length).toBeLessThan(12_000);
    expect(sections(bytes)).not.toContain(DATA);
  });

  test('needs nothing but a memory', () => {
    if (!WebAssembly.validate(bytes)) return;
    expect(WebAssembly.Module.imports(new WebAssembly.Module(bytes)).map(i => i.name)).toEqual(['memory']);
  });
});

const DATA = 11;

/** The kinds of a module's sections. */
function sections(bytes: Uint8Array): number[] {
  const found: number[] = [];
  let at = 8;
  while (at < bytes.length) {
    found.push(bytes[at++]!);
    let [size, shift] = [0, 0];
    for (let more = true; more; shift += 7) {
      size += (bytes[at]! & 127) * 2 ** shift;
      more = bytes[at++]! >= 128;
    }
    at += size;
  }
  return found;
}
