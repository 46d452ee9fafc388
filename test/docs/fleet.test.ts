/** What the page on queues says, done: its commands draw with two workers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';
import { requireBuilt } from '../library/built-package';
import { scratchFolder } from '../media/pictures';
import { describeWithRedis, startRedis } from '../support/redis';
import { snippets } from './pages';

jest.setTimeout(240_000);

const scratch = scratchFolder();
const blocks = snippets().filter(({ name, note }) => name.startsWith('fleet-') && note === 'run');

describeWithRedis('the page on queues', () => {
  let child: ChildProcess | undefined;
  beforeAll(requireBuilt);
  afterEach(() => {
    // The workers that the commands started too.
    if (child?.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  });

  test('its commands start two workers, which draw what is submitted', async () => {
    const redis = await startRedis();
    mkdirSync(scratch.path('bin'));
    const npx = scratch.path('bin/npx');
    writeFileSync(npx, `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(packageRoot(), 'dist/cli.mjs')}" "$@"\n`);
    chmodSync(npx, 0o755);
    expect(blocks).toHaveLength(1);
    const text = blocks[0]!.text.replaceAll('redis://localhost:6379', redis.url);
    child = spawn('sh', ['-euc', text], {
      cwd: scratch.path(),
      detached: true,
      env: { ...process.env, PATH: `${scratch.path('bin')}:${process.env.PATH}` },
    });
    let said = '';
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', data => (said += data));
    const [code] = await once(child, 'exit');
    expect([code, said]).toEqual([0, expect.stringContaining('3 of 3 pictures in drawn')]);
    expect(said).toContain('fluent-emoji  0 waiting, 0 drawn now, 3 done, 0 failed');
    expect(readdirSync(scratch.path('drawn')).sort()).toEqual(['blue-star-0.png', 'lion-0.png', 'red-heart-0.png']);
    await redis.stop();
  });
});
