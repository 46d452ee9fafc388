import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readImage } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';

const root = resolve(__dirname, '../..');
let folder: string;

/** The first TypeScript block under "Use it as a library". */
function readmeExample(): string {
  const section = readFileSync(join(root, 'README.md'), 'utf8').split('## Use it as a library')[1]!;
  return /```ts\n([\s\S]*?)```/.exec(section)![1]!;
}

/** Runs a file with Node in a folder where the package is installed, on the backend that every machine has. */
function run(file: string): string {
  const env = { ...process.env, ERTACACHE_BACKEND: 'wasm' };
  return execFileSync(process.execPath, [file], {
    cwd: folder,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

beforeAll(() => {
  if (!existsSync(join(root, 'dist/index.mjs'))) execFileSync('npx', ['tsdown'], { cwd: root, stdio: 'ignore' });
  folder = mkdtempSync(join(tmpdir(), 'ertacache-readme-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules/ertacache'), 'dir');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the README's library example", () => {
  test('is no longer than it promises to be', () => {
    expect(readmeExample().trim().split('\n').length).toBeLessThanOrEqual(10);
  });

  test('runs as an ES module and writes the picture', async () => {
    writeFileSync(join(folder, 'example.mjs'), readmeExample());
    expect(run('example.mjs')).toMatch(/^#[#.]{29} 15$/m);
    expect((await readImage(join(folder, 'red-heart.png'))).shape).toEqual([32, 32, 3]);
    await expect(readReceipt(join(folder, 'red-heart.png'))).rejects.toThrow();
  });

  test('runs with require', () => {
    const body = readmeExample().replace(/import (\{[^}]*\}) from '([^']+)';/, "const $1 = require('$2');");
    expect(body).toContain("require('ertacache')");
    writeFileSync(join(folder, 'example.cjs'), `(async () => {\n${body}\n})();`);
    expect(run('example.cjs')).toMatch(/^#[#.]{29} 15$/m);
  });

  test.each(['mts', 'cts'])('type-checks under strict as .%s', extension => {
    const body = readmeExample();
    const [first, ...rest] = body.split('\n');
    // Top-level await is not for CommonJS.
    const text = extension === 'mts' ? body : `${first}\nexport const done = (async () => {\n${rest.join('\n')}\n})();`;
    writeFileSync(join(folder, `types.${extension}`), text);
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2022'];
    // `console` comes with the DOM's types where Node's are not installed.
    options.push('--lib', 'es2022,dom');
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [tsc, ...options, `types.${extension}`], { cwd: folder, encoding: 'utf8' });
  });
});

test('importing the package loads no backend', () => {
  const script = "import { torchGenerator } from 'ertacache'; import { engine } from '@tensorflow/tfjs-core';";
  writeFileSync(
    join(folder, 'quiet.mjs'),
    `${script}\nconsole.log(torchGenerator(0).normal(1).length, engine().backendNames?.().length ?? 0);`,
  );
  symlinkSync(join(root, 'node_modules/@tensorflow'), join(folder, 'node_modules/@tensorflow'), 'dir');
  expect(run('quiet.mjs').trim()).toBe('1 0');
});
