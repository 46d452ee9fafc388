import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { SCREENS } from '../../site/src/state/link';
import { describeInBrowser } from '../support/chromium';
import { playground } from './playground';

/** Findings of axe that keep people from using a page. */
async function serious(page: Page): Promise<string[]> {
  // Colours that are on their way from light to dark are neither.
  await page.evaluate(() =>
    Promise.allSettled(
      document
        .getAnimations()
        .filter(({ effect }) => effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY)
        .map(({ finished }) => finished),
    ),
  );
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof axe }).axe.run();
    return violations.map(({ id, impact, nodes }) => ({ id, impact, html: nodes.map(node => node.html).slice(0, 3) }));
  });
  return found.filter(({ impact }) => impact !== 'minor').map(finding => JSON.stringify(finding));
}

describeInBrowser('every screen', () => {
  const site = playground();

  test.each(SCREENS)('%s: axe finds nothing, in light, in dark, and on a phone', async screen => {
    const page = await site.visit(`#/${screen}?difference=1`);
    await page.locator('.loading').waitFor({ state: 'detached' });
    expect(await serious(page)).toEqual([]);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await serious(page)).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await serious(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  });

  test('screens are gone through by keyboard, and the focus follows', async () => {
    const page = await site.visit();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the screen');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
    await page.getByRole('link', { name: 'Schedule' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Which steps would you skip?' }).waitFor();
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
    expect(await page.title()).toBe('Schedule · ertacache playground');
    await page.goBack();
    await page.getByRole('heading', { name: 'How few forward passes' }).waitFor();
  });

  test('colours are chosen, and kept for the next visit', async () => {
    const page = await site.visit();
    const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByRole('button', { name: 'Colours: as the system has them' }).click();
    await page.getByRole('button', { name: 'Colours: light' }).click();
    const dark = await ground();
    expect(dark).not.toBe(light);
    await page.reload();
    await page.getByRole('button', { name: 'Colours: dark' }).waitFor();
    expect(await ground()).toBe(dark);
  });
});
