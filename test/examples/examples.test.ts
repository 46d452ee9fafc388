import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';
import { readImage } from '../../src/media/read';
import { project, requireBuilt, runNode } from '../library/built-package';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();

beforeAll(requireBuilt);

/** Runs an example in a project of somebody else that has the built package installed. */
async function example(name: string): Promise<string> {
  project(scratch.path(), {});
  copyFileSync(join(packageRoot(), 'examples', name), scratch.path(name));
  return runNode(scratch.path(), name);
}

/** The number after `off by` in the line that begins with `name`. */
const errorOf = (printed: string, name: string): number =>
  Number(new RegExp(`^${name} .* off by (\\S+)$`, 'm').exec(printed)?.[1]);

test('a LayersModel that is trained in the example is off by less, calibrated, than with uniform reuse', async () => {
  const printed = await example('layers-model.mjs');
  const [calibrated, evenly] = [errorOf(printed, 'calibrated'), errorOf(printed, 'uniform')];
  process.stdout.write(`layers-model: calibrated ${calibrated}, uniform ${evenly}, both at 10 of 20 calls\n`);
  expect(calibrated).toBeLessThan(0.5 * evenly);
  expect(printed).toMatch(/^uniform +(#\.){10} 10 calls/m);
  expect(printed).toMatch(/^calibrated #[#.]{19} 10 calls/m);
  expect(printed).toMatch(/^own loop +#[#.]{19} 10 calls, off from ours by (0\.0e\+0|\d\.\de-[6-9])$/m);
});

test('the embedded model draws the same picture with half of its forward passes', async () => {
  const printed = await example('embedded-model.mjs');
  expect(printed).toMatch(/^#{30} 30 forward passes$/m);
  expect(printed).toMatch(/^#[#.]{29} 15 forward passes: PSNR \d\d\.\d dB, SSIM (1\.0000|0\.99\d\d)$/m);
  expect((await readImage(scratch.path('red-heart.png'))).shape).toEqual([64, 64, 3]);
});

test('a policy for a sampler of their own is calibrated, written, read and better than uniform reuse', async () => {
  const printed = await example('custom-scheduler.mjs');
  const [calibrated, evenly] = [errorOf(printed, 'calibrated'), errorOf(printed, 'uniform')];
  process.stdout.write(`custom-scheduler: calibrated ${calibrated}, uniform ${evenly}\n`);
  expect(calibrated).toBeLessThan(evenly);
});
