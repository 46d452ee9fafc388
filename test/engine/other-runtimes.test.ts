/** Bun and Deno, where they are installed: on the PATH, or from npm in `.nodes`, as `.ci/run` does it. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/engine/run';
import { packageRoot } from '../../src/io/package-root';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();
const root = packageRoot();
const fromNpm = (...path: string[]): string => join(root, '.nodes', ...path);

const runtimes = [
  { title: 'Bun', names: [fromNpm('bun/node_modules/bun/bin/bun.exe'), 'bun'], args: [] },
  { title: 'Deno', names: [fromNpm('deno/node_modules/.bin/deno'), 'deno'], args: ['run', '--allow-all'] },
];

const works = (name: string): boolean => spawnSync(name, ['--version'], { timeout: 30_000 }).status === 0;
const draw = (out: string): string[] => [
  ...[join(root, 'dist/cli.mjs'), 'sample', 'red heart', '--seed', '1', '--steps', '4', '--policy', 'none'],
  ...['--backend', 'wasm', '--out', out],
];

for (const { title, names, args } of runtimes) {
  const found = names.find(name => (name.includes('/') ? existsSync(name) && works(name) : works(name)));
  (found ? test : test.skip)(
    `${title} draws on wasm what Node draws${found ? '' : ` (there is no ${title} here)`}`,
    async () => {
      const here = [process.execPath, [], scratch.path('node.png')] as const;
      const there = [found!, args, scratch.path('other.png')] as const;
      for (const [program, before, out] of [here, there]) {
        // With or without relaxed SIMD, as the runtime has it, the last digits would differ.
        const env = { ...process.env, ERTACACHE_FUSED: 'plain' };
        const { code, stderr } = await run(program, [...before, ...draw(out)], { cwd: scratch.path(), env });
        expect([code, stderr]).toEqual([0, expect.stringContaining('wasm')]);
      }
      expect(readFileSync(scratch.path('other.png')).equals(readFileSync(scratch.path('node.png')))).toBe(true);
    },
    300_000,
  );
}
