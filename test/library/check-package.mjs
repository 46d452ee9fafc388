/** Packs the built package and has publint and "are the types wrong" look at it. `node check-package.mjs [tarball]` */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = mkdtempSync(join(tmpdir(), 'ertacache-pack-'));
let failed = false;
try {
  const tarball = process.argv[2] ?? join(folder, pack());
  const bin = name => join(root, 'node_modules/.bin', name);
  for (const [tool, args] of [
    ['publint', ['run', tarball, '--strict']],
    // Every way of resolving modules that a Node that ertacache runs on has.
    // The worker is a script that is started, not a module that is imported.
    [
      'attw',
      [tarball, '--profile', 'node16', '--no-emoji', '--format', 'ascii', '--exclude-entrypoints', 'browser-worker'],
    ],
  ]) {
    const { status } = spawnSync(bin(tool), args, { stdio: 'inherit' });
    failed ||= status !== 0;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

function pack() {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  return JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))[0].filename;
}
