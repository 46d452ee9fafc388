import { packageRoot } from '../../src/io/package-root';
import { scratchFolder } from '../media/pictures';
import { project, requireBuilt, runNode } from './built-package';

const scratch = scratchFolder();

beforeAll(requireBuilt);

/** Notes on stdout what is loaded as a module; what is required is in the cache of `require` afterwards. */
const HOOKS = `
import { writeSync } from 'node:fs';
export async function load(url, context, next) {
  if (url.startsWith('file:')) writeSync(1, url + '\\n');
  return next(url, context);
}`;

const required = `for (const path of Object.keys(require.cache)) console.log(path);`;

const PROGRAMS = {
  import: (entry: string) => `
    import { createRequire, register } from 'node:module';
    register('./hooks.mjs', import.meta.url);
    const { withCache } = await import(${JSON.stringify(entry)});
    if (typeof withCache !== 'function') throw new Error('there is no withCache');
    const require = createRequire(import.meta.url);
    ${required}`,
  require: (entry: string) => `
    const { withCache } = require(${JSON.stringify(entry)});
    if (typeof withCache !== 'function') throw new Error('there is no withCache');
    ${required}`,
};

/** The packages that a program loads by loading an entry, without ertacache itself. */
async function packagesLoaded(entry: string, how: keyof typeof PROGRAMS): Promise<string[]> {
  const file = how === 'import' ? 'program.mjs' : 'program.cjs';
  project(scratch.path(), { 'hooks.mjs': HOOKS, [file]: PROGRAMS[how](entry) });
  const printed = await runNode(scratch.path(), file);
  expect(printed).toContain(`${packageRoot()}/dist/`);
  const names = [...printed.matchAll(/^.*\/node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\/[^\n]*$/gm)].map(m => m[1]!);
  return [...new Set(names)].sort();
}

/** What the core is made of: tensors, schemas, checksums, least squares, and pictures as arrays. */
const CORE =
  /^(@tensorflow\/tfjs-core|zod|@noble\/hashes|ml-matrix|ml-array-\w+|is-any-array|ndarray|iota-array|is-buffer)$/;

test.each(['import', 'require'] as const)('%s of ertacache/core loads what it is made of, nothing heavy', async how => {
  const loaded = await packagesLoaded('ertacache/core', how);
  expect(loaded).toContain('@tensorflow/tfjs-core');
  expect(loaded.filter(name => !CORE.test(name))).toEqual([]);
});

/** Parts for pictures, clips, prompts, charts and the command line, which are loaded when they are needed. */
const LATE = new RegExp(
  `^(${[
    'sharp|@img/.*|h264-mp4-encoder',
    '@huggingface/.*|entities',
    'vega.*|commander|cli-progress',
    '@tensorflow/tfjs-(backend|node|converter).*',
  ].join('|')})$`,
);

test.each(['import', 'require'] as const)(
  '%s of ertacache loads no backend, picture, tokenizer, chart or command line',
  async how => {
    const loaded = await packagesLoaded('ertacache', how);
    expect(loaded).toContain('@tensorflow/tfjs-core');
    expect(loaded.filter(name => LATE.test(name))).toEqual([]);
  },
);
