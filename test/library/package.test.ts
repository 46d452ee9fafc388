import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';
import { scratchFolder } from '../media/pictures';
import { requireSite, runNode, typeErrors } from './built-package';

const scratch = scratchFolder();
const root = packageRoot();

beforeAll(requireSite);

interface Locked {
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

interface Manifest extends Locked {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** What a package makes npm install: its dependencies, and the peers that are not optional. */
function needed({ dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta }: Locked): string[] {
  const peers = Object.keys(peerDependencies ?? {}).filter(name => !peerDependenciesMeta?.[name]?.optional);
  return [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers];
}

/** The places in the lock of everything that comes with the package where it is installed. */
function withoutDevelopment(locked: Readonly<Record<string, Locked>>, manifest: Manifest): string[] {
  const found = new Set<string>();
  const visit = (from: string, names: readonly string[]): void => {
    for (const name of names) {
      // As Node looks for it: in the package's own folder first, then further out.
      let folder = from;
      while (!(`${folder}node_modules/${name}` in locked) && folder !== '') {
        folder = folder.replace(/node_modules\/(@[^/]+\/)?[^/]+\/$/, '');
      }
      const path = `${folder}node_modules/${name}`;
      const entry = locked[path];
      if (!entry || found.has(path)) continue;
      found.add(path);
      visit(`${path}/`, needed(entry));
    }
  };
  visit('', needed(manifest));
  return [...found].sort();
}

/** Packs the package into the scratch folder. */
async function pack(): Promise<{ tarball: string; files: string[] }> {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', scratch.path()];
  const { code, stdout, stderr } = await run('npm', args, { cwd: root });
  if (code !== 0) throw new Error(`npm pack failed:\n${stderr}`);
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  return { tarball: scratch.path(filename), files: files.map(f => f.path) };
}

/** Installs a tarball as npm would, with the dependencies of this checkout. */
async function install(tarball: string): Promise<void> {
  const modules = scratch.path('node_modules');
  mkdirSync(join(modules, 'ertacache'), { recursive: true });
  const { code } = await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(modules, 'ertacache')], {});
  if (code !== 0) throw new Error('the tarball could not be unpacked');
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name), 'dir');
  }
}

const PARTS = {
  import: `
  import { methods, uniform } from 'ertacache/cache';
  import { families } from 'ertacache/models';`,
  require: `
  const { methods, uniform } = require('ertacache/cache');
  const { families } = require('ertacache/models');`,
};
const PROGRAM = `
  const sigmas = [1, 0.75, 0.5, 0.25, 0];
  const cached = withCache(x => x, uniform(4, 2, 'velocity'), { sigmas });
  console.log(cached.timesteps.length, methods.length > 5, families.length > 3);`;

test('the packed package has what it needs, nothing else, is clean for publint and attw, and works installed', async () => {
  const { tarball, files } = await pack();
  const stray = files.filter(
    path =>
      !/^(dist|converted-models|calibration|docs|examples)\//.test(path) &&
      !['package.json', 'README.md', 'LICENSE', 'NOTICE', 'ARCHITECTURE.md', 'CHANGELOG.md'].includes(path),
  );
  expect(stray).toEqual([]);
  expect(files.filter(path => /\.(test\.|map$)|^docs\/api|\.partial$/.test(path))).toEqual([]);
  expect(files).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'NOTICE',
      'dist/index.mjs',
      'dist/index.cjs',
      'dist/index.d.mts',
      'dist/index.d.cts',
      'dist/core.mjs',
      'dist/core.cjs',
      'dist/core.d.mts',
      'dist/core.d.cts',
      'dist/cli.mjs',
      'dist/browser/worker.mjs',
      'dist/playground/index.html',
      'dist/playground/service-worker.js',
      'dist/probe-child.cjs',
      'dist/wasm-thread.cjs',
      'converted-models/fluent-emoji/model.json',
      'converted-models/fluent-emoji/NOTICE.txt',
      'examples/layers-model.mjs',
      'docs/README.md',
    ]),
  );

  const checked = await run(process.execPath, [join(root, 'test/library/check-package.mjs'), tarball], { cwd: root });
  expect(`${checked.stdout}${checked.stderr}`).toMatch(/All good!/);
  expect(checked.code).toBe(0);

  await install(tarball);
  const programs = {
    'index.mjs': `import { withCache } from 'ertacache';${PARTS.import}${PROGRAM}`,
    'core.mjs': `import { withCache } from 'ertacache/core';${PARTS.import}${PROGRAM}`,
    'index.cjs': `const { withCache } = require('ertacache');${PARTS.require}${PROGRAM}`,
    'core.cjs': `const { withCache } = require('ertacache/core');${PARTS.require}${PROGRAM}`,
  };
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(scratch.path(name), text);
    expect(await runNode(scratch.path(), name)).toBe('4 true true\n');
  }
  writeFileSync(scratch.path('core.mts'), `${programs['core.mjs']}\nexport {};\n`);
  expect(await typeErrors(scratch.path(), ['core.mts'])).toBe('');
}, 180_000);

test('every path of the manifest exists', () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: unknown };
  const paths = (value: unknown): string[] =>
    typeof value === 'string' ? [value] : Object.values(value as object).flatMap(paths);
  expect(paths(exports).filter(path => !existsSync(join(root, path)))).toEqual([]);
});

test('installing the package runs no script, and brings no second copy of TensorFlow.js', () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  const installed = withoutDevelopment(lock.packages, manifest);
  expect(installed.length).toBeGreaterThan(50);
  expect(installed.filter(path => lock.packages[path]!.hasInstallScript)).toEqual([]);
  expect(Object.keys(manifest.scripts).filter(name => /install$/.test(name))).toEqual([]);
  // The application's own, so that its tensors and ours belong to one engine.
  expect(Object.keys(manifest.dependencies).filter(name => name.startsWith('@tensorflow/'))).toEqual([]);
  expect(manifest.optionalDependencies).toBeUndefined();
});

test('the lock names no registry', () => {
  expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).not.toContain('"resolved"');
});
