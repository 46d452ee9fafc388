import { join } from 'node:path';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';
import { numbers } from '../weights/hub';
import { killRounds } from './kill-rounds';

jest.setTimeout(300_000);

const scratch = scratchFolder();

const PICTURE = { steps: 2, policy: 'none' };
/** Clips of 8 frames of 512 × 512, whose files take longer to make than to draw. */
const CLIP = { ...PICTURE, model: 'fluent-emoji-video', scale: 8 };

(process.platform === 'linux' ? test : test.skip).each([
  ['pictures', [PICTURE], 4000],
  ['large clips', [{ ...CLIP, output_format: 'webp' }, { ...CLIP, output_format: 'mp4' }, PICTURE], 4000],
])('a server and its workers are killed while they make %s, and no accepted job is lost', async (_, asked, most) => {
  const data = scratch.path('data');
  const options = { backend: usableBackends()[0], threads: 1, data, logLevel: 'silent' };
  const command = [process.execPath, join(__dirname, '../support/serve.cjs'), JSON.stringify(options)];
  const outcome = await killRounds({ command, data, kills: 4, chance: numbers(5), asked, most });
  expect(outcome.faults).toEqual([]);
  expect(outcome.accepted).toBeGreaterThan(3);
  expect(outcome.completed).toBeGreaterThan(0);
  expect(Object.keys(outcome.failed).filter(code => !['engine', 'given_up'].includes(code))).toEqual([]);
});
