import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/io/package-root';
import { scratchFolder } from '../media/pictures';
import { describeInBrowser } from '../support/chromium';
import { command } from '../weights/command';
import { drawn, playground, textOf } from './playground';

const scratch = scratchFolder();

describeInBrowser('the screen Calibrate', () => {
  const site = playground();

  test('a policy is made here, drawn with, saved, and used by the command line', async () => {
    const page = await site.visit('#/calibrate');
    await page.getByLabel('Steps').fill('6');
    await page.getByLabel('Forward passes of 6').fill('4');
    await page.getByLabel('Pairs of prompt and seed').fill('2');
    await page.getByRole('button', { name: 'Calibrate', exact: true }).click();
    await page.getByRole('progressbar', { name: 'Calibrating' }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    await page.getByText('pairs that it has not seen').waitFor();

    const downloads: string[] = [];
    page.on('download', async download => {
      const path = scratch.path(download.suggestedFilename());
      await download.saveAs(path);
      downloads.push(path);
    });
    await page.getByRole('button', { name: 'Save its files' }).click();
    while (downloads.length < 2) await page.waitForTimeout(50);
    const [json] = downloads.filter(path => path.endsWith('.json'));
    expect(JSON.parse(readFileSync(json!, 'utf8'))).toMatchObject({ schedule: expect.stringMatching(/^#[#.]{5}$/) });

    await page.getByRole('link', { name: 'Draw with it' }).click();
    await drawn(page, 2);
    expect(await textOf(page, '.passes output')).toMatch(/4 ?of 6 ?calibrated/);
    await page.locator('.easel.strong .facts', { hasText: '4 forward passes' }).waitFor();

    const out = scratch.path('own.png');
    const how = ['--steps', '6', '--policy', json!, '--out', out];
    const made = await command('--backend', 'wasm', 'sample', 'red heart', '--seed', '1', ...how);
    expect(made).toMatchObject({ code: 0 });
    expect(existsSync(out)).toBe(true);
  });

  test('a policy stays while the other model is looked at, during its making and after', async () => {
    const page = await site.visit('#/calibrate?steps=6&passes=4&pairs=2');
    const choose = (text: string): Promise<void> => page.locator('.switch label', { hasText: text }).click();
    const own = page.locator('.shelf li', { hasText: 'yours' });
    await page.locator('.shelf li').first().waitFor();
    await page.getByRole('button', { name: 'Calibrate', exact: true }).click();
    await page.getByRole('progressbar', { name: 'Calibrating' }).waitFor();
    await choose('Clips');
    await page.getByText('for pictures').waitFor();
    await page.locator('.shelf li', { hasText: 'guidance 2' }).first().waitFor();
    expect(await own.count()).toBe(0);
    // Also from here.
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save its files' }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^fluent-emoji-6steps-g3-4\.(json|safetensors)$/);
    await choose('Pictures');
    await own.waitFor();
    expect(await own.count()).toBe(1);

    await choose('Clips');
    await page.getByRole('link', { name: 'Draw with it' }).click();
    await page.waitForURL(/#\/draw\?model=fluent-emoji&/);
    await drawn(page, 2);
    expect(await textOf(page, '.passes output')).toMatch(/4 ?of 6 ?calibrated/);
    await page.locator('.easel.strong .facts', { hasText: '4 forward passes' }).waitFor();
  });

  test('a policy of the command line is opened, and stands on the slider', async () => {
    const page = await site.visit('#/calibrate');
    await page.locator('.shelf li').first().waitFor();
    const files = ['json', 'safetensors'].map(end =>
      join(packageRoot(), `calibration/fluent-emoji-30steps-g1-8.${end}`),
    );
    // Of another number of steps than all that ship: what stands on the slider was opened.
    const resampled = scratch.path('resampled.json');
    const made = await command('policy', 'resample', files[0]!, '--steps', '15', '--out', resampled);
    expect(made).toMatchObject({ code: 0 });
    await page.locator('input[type=file]').setInputFiles(resampled);
    await page.waitForURL(/#\/draw\?.*steps=15.*guidance=1|#\/draw\?.*guidance=1.*steps=15/);
    await page.getByRole('button', { name: '4 forward passes, calibrated', exact: true }).waitFor();

    await page.goto(`${site.address}#/calibrate`);
    await page.locator('input[type=file]').setInputFiles(files.slice(1));
    expect(await textOf(page, '[role=alert]')).toContain('A policy is a .json file');
    await page.locator('input[type=file]').setInputFiles(files.slice(0, 1));
    await page.getByText('are missing').waitFor();
  });
});
