import { mkdirSync, readFileSync } from 'node:fs';
import { METHODS } from '../../site/src/state/methods';
import { contenders } from '../../src/lab/compare/contenders';
import { scratchFolder } from '../media/pictures';
import { describeInBrowser } from '../support/chromium';
import { playground, textOf } from './playground';

const scratch = scratchFolder();

test('the methods that are offered are methods that can be compared, by their titles', () => {
  const titles = new Map(contenders.map(({ name, title }) => [name, title]));
  for (const { name, title } of METHODS) expect(titles.get(name)).toBe(title);
});

describeInBrowser('the screen Compare', () => {
  const site = playground();

  test('methods are chosen and compared; the result is saved, and opens again', async () => {
    const page = await site.visit('#/compare?steps=6&budgets=4');
    for (const name of ['ERTACache', 'TaylorSeer lite', 'Uniform reuse'])
      await page.getByRole('checkbox', { name }).uncheck();
    await page.getByLabel('Prompts, one a line').fill('red heart\nkey');
    await page.getByLabel('Another number of forward passes').fill('3');
    await page.keyboard.press('Enter');
    await page.waitForURL(/methods=fewer-steps&.*budgets=4,3.*prompts=red\+heart&prompts=key/);
    expect(await textOf(page, '.start')).toContain('1 method, 2 numbers of passes, 2 pairs');
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    await page.getByRole('progressbar', { name: 'Comparing' }).waitFor();
    const save = page.getByRole('button', { name: 'Save comparison.json' });
    await save.waitFor();
    expect(await page.locator('tbody tr').count()).toBe(2);
    expect(await page.locator('.curves .line').count()).toBe(1);

    const [download] = await Promise.all([page.waitForEvent('download'), save.click()]);
    mkdirSync(scratch.path('saved'), { recursive: true });
    const file = scratch.path('saved/comparison.json');
    await download.saveAs(file);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      format: 'ertacache-comparison',
      state: 'complete',
      request: { steps: 6, budgets: [4, 3], methods: ['fewer-steps'] },
    });

    const numbers = await page.locator('table').textContent();
    await page.getByRole('button', { name: 'Open another' }).click();
    await page.locator('input[type=file]').setInputFiles(file);
    await page.locator('tbody tr').first().waitFor();
    expect(await page.locator('table').textContent()).toBe(numbers);
    await page.getByRole('radio', { name: 'SSIM' }).check({ force: true });
    await page.getByRole('img', { name: /^SSIM against forward passes/ }).waitFor();
  });

  test('a comparison is stopped, and what is no comparison is refused', async () => {
    const page = await site.visit('#/compare');
    await page.locator('input[type=file]').setInputFiles({
      name: 'other.json',
      mimeType: 'application/json',
      buffer: Buffer.from('{"format":"other"}'),
    });
    expect(await textOf(page, '[role=alert]')).toContain('other.json is not a comparison of ertacache');
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('button', { name: 'Compare', exact: true }).waitFor();
  });
});
