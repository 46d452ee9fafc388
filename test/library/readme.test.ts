import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';
import { readImage } from '../../src/media/read';
import { VERSION } from '../../src/version';
import { scratchFolder } from '../media/pictures';
import { project, requireBuilt, runNode, typeErrors } from './built-package';

const scratch = scratchFolder();
const root = packageRoot();

/** The first TypeScript example in the README's section about the library. */
function readmeExample(): string {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const found = /^## Use it as a library\n[^#]*?^```ts\n(.*?)^```$/ms.exec(readme);
  if (!found) throw new Error('The README has no TypeScript example under "Use it as a library".');
  return found[1]!;
}

/** The example taken apart: what it imports from where, and what it does then. */
function parts(example: string): { names: string; from: string; body: string } {
  const found = /^import (\{.*\}) from ('\w+');\n(.*)$/s.exec(example);
  if (!found) throw new Error('The example does not begin with its one import.');
  const [, names, from, body] = found as unknown as [string, string, string, string];
  return { names, from, body };
}

/** The example for programs that are no modules: `require` in place of `import`, and a function to await in. */
function withRequire(example: string): string {
  const { names, from, body } = parts(example);
  const fail = 'error => {\n  console.error(error);\n  process.exitCode = 1;\n}';
  return `const ${names} = require(${from});\n(async () => {\n${body}})().catch(${fail});\n`;
}

/** The same in TypeScript. */
function withTypedRequire(example: string): string {
  const { names, from, body } = parts(example);
  return `import e = require(${from});\nconst ${names} = e;\nexport const done = (async () => {\n${body}})();\n`;
}

beforeAll(requireBuilt);

describe('the example of the README', () => {
  test('is short', () => {
    expect(readmeExample().trim().split('\n').length).toBeLessThanOrEqual(10);
  });

  test('draws its picture, as a module and with require', async () => {
    project(scratch.path(), { 'esm.mjs': readmeExample(), 'cjs.cjs': withRequire(readmeExample()) });
    const pictures: Buffer[] = [];
    for (const file of ['esm.mjs', 'cjs.cjs']) {
      const printed = await runNode(scratch.path(), file);
      expect(printed).toMatch(/^#[#.]{29} 15\n$/);
      expect((await readImage(scratch.path('red-heart.png'))).shape).toEqual([64, 64, 3]);
      pictures.push(readFileSync(scratch.path('red-heart.png')));
    }
    expect(pictures[1]).toEqual(pictures[0]);
  });

  test('is well typed under strict, as a module and with require', async () => {
    // What must be an error is expected to be one: types that were `any` would let it pass.
    const wrong = [
      '// @ts-expect-error a seed is a number, or its digits',
      "await draw({ prompt: 'red heart', seed: true }, { model });",
      '// @ts-expect-error there is no such member of a picture',
      'media.nothing;',
      'const width: number = media.shape[1]!;',
      '// @ts-expect-error pixels are numbers',
      'const pixel: string = media.get(0, 0, 0);',
      'export { pixel, width };',
    ].join('\n');
    const files = { 'esm.mts': `${readmeExample()}${wrong}\n`, 'cjs.cts': withTypedRequire(readmeExample()) };
    project(scratch.path(), files);
    expect(await typeErrors(scratch.path(), Object.keys(files))).toBe('');
  });
});

describe('the built package', () => {
  test('has every file that its manifest promises', () => {
    const { main, module, types, bin, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      main: string;
      module: string;
      types: string;
      bin: Record<string, string>;
      exports: { '.': Record<string, Record<string, string>> };
    };
    const entries = Object.values(exports['.']).flatMap(conditions => Object.values(conditions));
    for (const path of [main, module, types, ...Object.values(bin), ...entries]) {
      expect(readFileSync(join(root, path)).length).toBeGreaterThan(0);
    }
    expect(readFileSync(join(root, bin.ertacache!), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test('exports the same names to import and to require, and starts no backend when it is loaded', async () => {
    project(scratch.path(), {
      'names.mjs': [
        "import * as tf from '@tensorflow/tfjs-core';",
        "import * as imported from 'ertacache';",
        "import { createRequire } from 'node:module';",
        "const required = createRequire(import.meta.url)('ertacache');",
        'const names = o => Object.keys(o).filter(k => k !== "default").sort();',
        'console.log(JSON.stringify([names(imported), names(required), Object.keys(tf.engine().registryFactory)]));',
      ].join('\n'),
    });
    const [imported, required, backends] = JSON.parse(await runNode(scratch.path(), 'names.mjs')) as string[][];
    expect(required).toEqual(imported);
    expect(imported).toEqual(expect.arrayContaining(['calibrate', 'draw', 'loadModel', 'selectBackend', 'writeMedia']));
    expect(backends).toEqual([]);
  });

  test('shares one TensorFlow.js with programs that import it and programs that require it', async () => {
    project(scratch.path(), {
      'tensors.mjs': [
        "import * as tf from '@tensorflow/tfjs-core';",
        "import { selectBackend } from 'ertacache';",
        "import { none, sampleLoop } from 'ertacache/cache';",
        "import { createRequire } from 'node:module';",
        'const require = createRequire(import.meta.url);',
        "const [tfRequired, required] = [require('@tensorflow/tfjs-core'), require('ertacache')];",
        "const { sampleLoop: requiredLoop } = require('ertacache/cache');",
        'console.log(tfRequired.engine() === tf.engine(), tfRequired.Tensor === tf.Tensor);',
        "await selectBackend('wasm');",
        'console.log(tf.getBackend(), tfRequired.getBackend());',
        // Tensors that one side made are tensors to the other.
        'const solver = { sigmas: [1, 0], timesteps: [1000], dispose() {},',
        '  step: (_, output, sample) => tf.add(output, sample) };',
        'const policy = { ...none(), begin: () => ({ dispose() {}, branch: () => ({ bytes: () => 0, dispose() {},',
        "  evaluate: async () => ({ output: tfRequired.ones([2]), decision: 'compute' }) }) }) };",
        'const guide = { parts: ["output"], split: ([o]) => [o.clone()], combine: ([o]) => o.clone() };',
        'const branch = { name: "b", evaluate: sample => ({ sample, spent: () => 1, release() {} }) };',
        'for (const loop of [sampleLoop, requiredLoop]) {',
        '  const run = { branches: [branch], guide, solver, latents: tf.fill([2], 2) };',
        '  const { latents } = await loop(run, policy);',
        '  console.log(latents instanceof tf.Tensor, [...latents.dataSync()].join());',
        '}',
        // Errors are known by their kind, whichever copy of the package threw them.
        "const error = await required.readPolicy('none.json').catch(e => e);",
        "console.log((await import('ertacache')).ErtaError.isInstance(error), error.code);",
      ].join('\n'),
    });
    expect((await runNode(scratch.path(), 'tensors.mjs')).split('\n')).toEqual([
      'true true',
      'wasm wasm',
      'true 3,3',
      'true 3,3',
      'true io',
      '',
    ]);
  });

  test('brings a command, of the same version', async () => {
    expect(await runNode(root, join(root, 'dist/cli.mjs'), '--version')).toBe(`${VERSION}\n`);
  });

  test('that ends quietly when nobody reads what it prints', async () => {
    const child = spawn(process.execPath, [join(root, 'dist/cli.mjs'), 'verify', '--help'], { cwd: root });
    child.stdout.destroy();
    let complaint = '';
    child.stderr.on('data', chunk => {
      complaint += chunk;
    });
    const [code] = await once(child, 'close');
    expect([code, complaint]).toEqual([0, '']);
  });
});
