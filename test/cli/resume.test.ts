import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';

const scratch = scratchFolder();
const CLI = join(__dirname, '../support/cli.cjs');

// Several processes, each of which loads a model.
jest.setTimeout(120_000);

interface Sampling {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  told(): string;
}

function sample(backend: string, ...args: string[]): Sampling {
  const child = spawn(process.execPath, [CLI, '--backend', backend, 'sample', ...args]);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', data => {
      text += data;
    });
  }
  return { child, ended: once(child, 'exit'), told: () => text };
}

/** Waits until the folder has a checkpoint that was written at another time than the one of before. */
async function nextCheckpoint(folder: string, before: number): Promise<number> {
  for (;;) {
    const name = readdirSync(folder).find(each => each.endsWith('.checkpoint.safetensors') && !each.startsWith('.'));
    const time =
      name === undefined ? before : (statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? before);
    if (time !== before) return time;
    await wait(2);
  }
}

const backends = usableBackends().filter(backend => backend === 'wasm' || backend === 'native');

test.each(backends)(
  'a picture whose process is killed again and again is the one of a whole run, on %s',
  async backend => {
    const options = ['red heart', '--steps', '12', '--seed', '7', '--policy', 'none'];
    const plain = sample(backend, ...options, '--out', scratch.path('plain.png'));
    await plain.ended;
    const folder = scratch.path(backend);
    mkdirSync(folder);
    const resume = ['--out-dir', folder, '--resume', '--checkpoint-every', '1'];
    let known = 0;
    for (const [i, later] of [0, 7, 1].entries()) {
      const { child, ended, told } = sample(backend, ...options, ...resume);
      await Promise.race([once(child.stderr!, 'data'), ended]);
      known = await nextCheckpoint(folder, known);
      await wait(later);
      child.kill('SIGKILL');
      await ended;
      if (i > 0) expect(told()).toMatch(/goes on at step ([2-9]|1\d)\n/);
    }
    expect(readdirSync(folder).filter(name => name.endsWith('.png'))).toEqual([]);
    const last = sample(backend, ...options, ...resume);
    await last.ended;
    expect(last.told()).toContain('goes on at step');
    expect(readdirSync(folder)).toEqual(['red-heart-7.png']);
    expect(readFileSync(join(folder, 'red-heart-7.png'))).toEqual(readFileSync(scratch.path('plain.png')));
    const again = sample(backend, ...options, ...resume);
    await again.ended;
    expect(again.told()).toContain('red-heart-7.png  was drawn before');
  },
);
