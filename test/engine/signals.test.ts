import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { findLink } from '../../src/engine/link/record';

/** Sends one signal after the other for as long as the child lives. */
async function disturb(child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGWINCH');
    await wait(1);
  }
}

(findLink() ? test : test.skip)('signals do not harm what TensorFlow computes', async () => {
  const loader = join(__dirname, '../../bench/run.cjs');
  const child = spawn(process.execPath, [loader, join(__dirname, 'signals-child.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stderr.once('data', () => void disturb(child));
  const [said, ended] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(ended).toEqual([0, null]);
  const { taken, seconds } = JSON.parse(said);
  expect(taken).toBeGreaterThan(50);
  expect(seconds).toBeGreaterThan(0);
});
