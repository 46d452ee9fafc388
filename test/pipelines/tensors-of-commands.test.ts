import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { describeOnBackends } from '../support/backends';
import { command } from '../weights/command';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'tensors-'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

const COMMANDS: readonly (readonly string[])[] = [
  ['sample', 'red heart', '--steps', '2', '--out', 'a.png'],
  [
    'calibrate',
    '--steps',
    '4',
    '--pairs',
    '1',
    '--held-out',
    '0',
    '--bound-pairs',
    '9',
    '--search',
    'walk',
    '--out',
    'policy.json',
  ],
  [
    ...['compare', '--pairs', '2', '--calibration-pairs', '1', '--steps', '4', '--budgets', '2', '--timed-pairs', '0'],
    ...['--methods', 'uniform,ertacache', '--out', 'compared'],
  ],
];

describeOnBackends('tensors after a command', () => {
  test.each(COMMANDS.map(args => [args[0], args] as const))('%s leaves as many as it found', async (_, args) => {
    const own = [...args.slice(0, -1), join(scratch, args.at(-1) as string)];
    const before = tf.memory().numTensors;
    expect(await command('--backend', tf.getBackend() === 'wasm' ? 'wasm' : 'native', ...own)).toMatchObject({
      code: 0,
    });
    expect(tf.memory().numTensors).toBe(before);
  });
});
