import { join } from 'node:path';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';
import { numbers } from '../weights/hub';
import { killRounds } from './kill-rounds';

jest.setTimeout(300_000);

const scratch = scratchFolder();

(process.platform === 'linux' ? test : test.skip)(
  'a server and its workers are killed, and no accepted job is lost',
  async () => {
    const data = scratch.path('data');
    const options = { backend: usableBackends()[0], threads: 1, data, logLevel: 'silent' };
    const command = [process.execPath, join(__dirname, '../support/serve.cjs'), JSON.stringify(options)];
    const outcome = await killRounds({ command, data, kills: 4, chance: numbers(5), steps: 2, most: 4000 });
    expect(outcome.faults).toEqual([]);
    expect(outcome.accepted).toBeGreaterThan(3);
    expect(outcome.completed).toBeGreaterThan(0);
    expect(Object.keys(outcome.failed).filter(code => !['engine', 'given_up'].includes(code))).toEqual([]);
  },
);
