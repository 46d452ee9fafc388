import { chmodSync, existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** A folder of programs that is all a fake machine has on its PATH, and an environment that points there. */
export interface FakeMachine {
  root: string;
  env: NodeJS.ProcessEnv;
  cache: string;
}

/** Writes a shell script. */
function program(folder: string, name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

function symlinkFromPath(folder: string, name: string): void {
  const found = (process.env.PATH ?? '').split(delimiter).find(dir => existsSync(join(dir, name)));
  if (found) symlinkSync(join(found, name), join(folder, name));
}

/** A machine with nothing but the programs whose scripts are given and the real ones that are named. */
export function fakeMachine(scripts: Record<string, string>, real: string[] = []): FakeMachine {
  const root = mkdtempSync(join(tmpdir(), 'ertacache-'));
  const bin = join(root, 'bin');
  mkdirSync(bin);
  for (const [name, script] of Object.entries(scripts)) program(bin, name, script);
  for (const name of real) symlinkFromPath(bin, name);
  const cache = join(root, 'cache');
  return { root, cache, env: { PATH: bin, ERTACACHE_CACHE: cache } };
}

function touch(file: string, text = ''): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** What looks like an installed TensorFlow wheel; returns its folder. */
export function fakeTensorFlow(site: string, version = '2.99.1'): string {
  const folder = join(site, 'tensorflow');
  const [major, minor, patch] = version.split('.');
  touch(join(folder, 'include/tensorflow/c/eager/c_api.h'));
  touch(
    join(folder, 'include/tensorflow/core/public/release_version.h'),
    `#define TF_MAJOR_VERSION ${major}\n#define TF_MINOR_VERSION ${minor}\n#define TF_PATCH_VERSION ${patch}\n`,
  );
  for (const name of ['libtensorflow_cc', 'libtensorflow_framework']) {
    touch(join(folder, `${name}.so.2`));
    touch(join(folder, `${name}.2.dylib`));
  }
  return folder;
}

/** Scripts of an npm that packs an empty package, and of compilers that fail or build nonsense. */
export const SCRIPTS = {
  npm: [
    'for last; do :; done',
    'mkdir -p "$last/package/binding" && cd "$last" && tar -czf package.tgz package && rm -r package',
  ].join('\n'),
  npmOffline: 'echo "npm error network unreachable" >&2; exit 1',
  compilerFails: 'if [ "$1" = --version ]; then echo "fake 1.0"; else echo "error: no such thing" >&2; exit 1; fi',
  compilerLies: [
    'if [ "$1" = --version ]; then echo "fake 1.0"; exit 0; fi',
    'while [ $# -gt 0 ]; do if [ "$1" = -o ]; then echo nonsense > "$2"; fi; shift; done',
  ].join('\n'),
  pythonWithout: 'echo',
};
