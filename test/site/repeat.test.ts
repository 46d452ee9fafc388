import { writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { scratchFolder } from '../media/pictures';
import { describeInBrowser } from '../support/chromium';
import { command } from '../weights/command';
import { playground, textOf } from './playground';

const scratch = scratchFolder();

describeInBrowser('the screen Repeat', () => {
  const site = playground();

  test('a picture of the command line is explained, drawn again, and the same', async () => {
    const file = scratch.path('crab.png');
    const made = await command('--backend', 'wasm', 'sample', 'crab', '--seed', '5', '--out', file);
    expect(made).toMatchObject({ code: 0 });
    const page = await site.visit('#/repeat');
    await page.locator('input[type=file]').setInputFiles(file);
    await page.getByText('The same picture, pixel by pixel.').waitFor();
    expect(await textOf(page, '.receipt')).toMatch(/Prompt ?crab.*Seed ?5.*15 forward passes.*ertacache [0-9a-f]{8}/);
    await page.getByRole('link', { name: 'Go on from it' }).click();
    await page.waitForURL(/#\/draw\?.*prompt=crab.*seed=5.*passes=15/);
  });

  test('a picture of a schedule that was made here is drawn again', async () => {
    const page = await site.visit('#/schedule?prompt=crab&seed=5&steps=6&schedule=110101');
    await page.locator('.triple .easel[data-state=done]').first().waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('.triple .easel').first().getByRole('button', { name: 'Save the file' }).click(),
    ]);
    const file = scratch.path('own.png');
    await download.saveAs(file);
    await page.goto(`${site.address}#/repeat`);
    await page.locator('input[type=file]').setInputFiles(file);
    await page.getByText('The same picture, pixel by pixel.').waitFor();
    expect(await textOf(page, '.receipt')).toMatch(/Policy ?by-hand.*/);
  });

  test('a file that is dropped is opened; one without a receipt is refused in a sentence', async () => {
    const page = await site.visit('#/repeat');
    const bytes = [
      ...(await sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
        .png()
        .toBuffer()),
    ];
    const files = await page.evaluateHandle(data => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(data)], 'red.png', { type: 'image/png' }));
      return transfer;
    }, bytes);
    await page.dispatchEvent('.drop', 'drop', { dataTransfer: files });
    expect(await textOf(page, '[role=alert]')).toContain('red.png carries no receipt.');
    writeFileSync(scratch.path('broken.json'), '{"tool":');
    await page.locator('input[type=file]').setInputFiles(scratch.path('broken.json'));
    await page.getByText('The receipt of broken.json is damaged.').waitFor();
    writeFileSync(scratch.path('part.json'), '{"tool":"ertacache","prompt":"crab"}');
    await page.locator('input[type=file]').setInputFiles(scratch.path('part.json'));
    await page.getByText('The receipt in part.json does not describe a run of ertacache.').waitFor();
  });
});
