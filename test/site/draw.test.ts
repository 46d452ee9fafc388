import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { packageRoot } from '../../src/io/package-root';
import { scratchFolder } from '../media/pictures';
import { describeInBrowser } from '../support/chromium';
import { command } from '../weights/command';
import { drawn, playground, textOf } from './playground';

const scratch = scratchFolder();
describeInBrowser('the screen Draw', () => {
  const site = playground();

  test('the first pair is drawn without a click', async () => {
    const page = await site.visit();
    await drawn(page, 2);
    expect(await textOf(page, '.easel.plain .facts')).toMatch(/^[\d.]+ s 30 forward passes$/);
    expect(await textOf(page, '.easel.strong .facts')).toMatch(/^[\d.]+ s 15 forward passes$/);
    expect(Number(await textOf(page, '.likeness .figure b'))).toBeGreaterThan(50);
    expect(await textOf(page, '.likeness')).toContain('No difference to be seen');
    const schedule = JSON.parse(
      readFileSync(join(packageRoot(), 'calibration/fluent-emoji-30steps-g3-15.json'), 'utf8'),
    ).schedule as string;
    const shown = await page
      .locator('.easel.strong .strip i')
      .evaluateAll(cells =>
        cells
          .map(cell => (cell.className === 'computed taken' ? '#' : cell.className === 'reused taken' ? '.' : '?'))
          .join(''),
      );
    expect(shown).toBe(schedule);
  });

  test('a prompt is typed with words of the model, by keyboard alone', async () => {
    const page = await site.visit('#/draw?passes=8');
    const prompt = page.getByRole('combobox', { name: 'Prompt' });
    await prompt.fill('');
    await prompt.pressSequentially('avoc');
    await page.getByRole('option', { name: 'avocado' }).waitFor();
    await prompt.press('ArrowDown');
    await prompt.press('Enter');
    await page.waitForURL('**prompt=avocado**');
    expect(await prompt.inputValue()).toBe('avocado');
    await drawn(page, 2);
    await prompt.pressSequentially(' zzyzx');
    await page.getByText('The model does not know “zzyzx”').waitFor();
  });

  test('the slider is moved by keys, dragged, and by its marks; what it shows is in the link', async () => {
    const page = await site.visit('#/draw?prompt=key');
    await drawn(page, 2);
    const slider = page.getByRole('slider', { name: 'Forward passes' });
    const says = (text: string): Promise<void> => slider.and(page.locator(`[aria-valuetext="${text}"]`)).waitFor();
    await slider.focus();
    await slider.press('ArrowRight');
    await says('14 of 30 forward passes, calibrated');

    const box = (await slider.boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.62, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 2, box.y + box.height / 2, { steps: 6 });
    await page.mouse.up();
    await page.waitForURL(/passes=2$|passes=2&/);
    await says('2 of 30 forward passes, not calibrated');
    await page.getByRole('link', { name: 'Calibrate one here' }).waitFor();

    await page.getByRole('button', { name: '10 forward passes, calibrated' }).click();
    await page.waitForURL(/#\/draw\?.*passes=10/);
    await page.locator('.easel.strong .facts', { hasText: '10 forward passes' }).waitFor();
    await drawn(page, 2);

    const other = await site.visit(page.url().slice(page.url().indexOf('#')));
    await drawn(other, 2);
    expect(await textOf(other, '.likeness .figure b')).toBe(await textOf(page, '.likeness .figure b'));
  });

  test('the difference is shown, enlarged', async () => {
    const page = await site.visit('#/draw?passes=8');
    await page.getByRole('checkbox', { name: 'Show the difference' }).check();
    await page.locator('.difference .facts b').first().waitFor();
    expect(await textOf(page, '.difference .title')).toMatch(/^Difference × \d+$/);
    expect(await textOf(page, '.difference .facts')).toMatch(/^[\d.]+ % of pixels differ by at most \d+ of 255$/);
  });

  test('a saved picture repeats on the command line, bit for bit', async () => {
    const page = await site.visit('#/draw?prompt=red+heart&seed=1&passes=15');
    await drawn(page, 2);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('.easel.strong').getByRole('button', { name: 'Save the file' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('red-heart-1.png');
    const [saved, again] = [scratch.path('saved.png'), scratch.path('again.png')];
    await download.saveAs(saved);
    expect(await command('--backend', 'wasm', 'sample', '--from', saved, '--out', again)).toMatchObject({ code: 0 });
    const pixels = (path: string): Promise<Buffer> => sharp(path).raw().toBuffer();
    expect((await pixels(again)).equals(await pixels(saved))).toBe(true);
  });

  test('clips play', async () => {
    const page = await site.visit('#/draw?model=fluent-emoji-video&prompt=ghost');
    await drawn(page, 2);
    expect(await textOf(page, 'h1')).toBe('How few forward passes does a clip need?');
    // Frames differ, and follow each other by themselves.
    await page.waitForFunction(() => {
      const canvas = document.querySelector('.easel.strong canvas') as HTMLCanvasElement;
      const keeper = window as unknown as { seen?: Set<string> };
      keeper.seen ??= new Set();
      keeper.seen.add(canvas.toDataURL());
      return keeper.seen.size >= 4;
    });
  });

  test('where motion is unwanted, clips stand still', async () => {
    const page = await site.visit('#/draw?model=fluent-emoji-video&prompt=ghost', { reducedMotion: 'reduce' });
    await drawn(page, 2);
    const frame = (): Promise<string> =>
      page.locator('.easel.strong canvas').evaluate(canvas => (canvas as HTMLCanvasElement).toDataURL());
    const first = await frame();
    await page.waitForTimeout(400);
    expect(await frame()).toBe(first);
  });
});
