import { describeInBrowser } from '../support/chromium';
import { drawn, playground, textOf } from './playground';

describeInBrowser('a second visit', () => {
  const site = playground('/under/some/path');

  test('works without a network, under any path', async () => {
    const page = await site.visit('#/draw?prompt=owl');
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await drawn(page, 2);
    const psnr = await textOf(page, '.likeness .figure b');
    // Everything is kept before the network goes.
    await page.evaluate(async () => {
      const { active, installing, waiting } = await navigator.serviceWorker.ready;
      const worker = active ?? installing ?? waiting;
      while (worker && worker.state !== 'activated') await new Promise(resolve => setTimeout(resolve, 50));
    });
    await site.goOffline();

    await page.reload();
    await drawn(page, 2);
    expect(await textOf(page, '.likeness .figure b')).toBe(psnr);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await page.getByRole('link', { name: 'Calibrate' }).click();
    await page.locator('.shelf li').nth(48).waitFor();
    expect(await page.locator('.shelf li').count()).toBe(49);
  });
});
