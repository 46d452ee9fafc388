import { describeInBrowser } from '../support/chromium';
import { drawn, playground, textOf } from './playground';

describeInBrowser('the screen Schedule', () => {
  const site = playground();

  test('steps are turned over by a click, by dragging, and by keys', async () => {
    const page = await site.visit('#/schedule?prompt=key&schedule=110101010101010101010101010101');
    const step = (n: number) => page.locator(`.strip-editor [data-step="${n - 1}"]`);
    // A page is drawn after the event that changes it, later on a busy machine than the test looks.
    const becomes = (schedule: string): Promise<unknown> =>
      page.waitForFunction(
        wanted =>
          [...document.querySelectorAll('.strip-editor [data-step]')]
            .map(cell => (cell.getAttribute('aria-pressed') === 'true' ? '1' : '0'))
            .join('') === wanted,
        schedule,
      );
    await becomes('110101010101010101010101010101');
    await step(3).click();
    await becomes('111101010101010101010101010101');

    const [from, to] = [(await step(10).boundingBox())!, (await step(14).boundingBox())!];
    await page.mouse.move(from.x + 5, from.y + 9);
    await page.mouse.down();
    // As quick as a drag can be: nothing is reported between its two ends.
    await page.mouse.move(to.x + 5, to.y + 9);
    await page.mouse.up();
    await becomes('111101010000000101010101010101');

    await step(2).focus();
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toBe('step 29, reused');
    await page.keyboard.press('Space');
    await becomes('111101010000000101010101010111');

    // The first step has nothing to be rebuilt from; the click after it shows that it was passed over.
    await step(1).click({ force: true });
    await step(3).click();
    await becomes('110101010000000101010101010111');
    await step(3).click();
    await becomes('111101010000000101010101010111');
    await page.waitForURL('**schedule=111101010000000101010101010111**');
    await drawn(page, 3);
    expect(await textOf(page, '.easel .facts')).toMatch(/ s 15 forward passes$/);
  });

  test('it is compared with the calibrated schedule, which can be begun with', async () => {
    const page = await site.visit('#/schedule?prompt=red+heart');
    await page.getByRole('button', { name: 'every third' }).click();
    await page.locator('.editor-head', { hasText: '10 of 30 steps computed' }).waitFor();
    await drawn(page, 3);
    const likenesses = await page.locator('.likeness .figure b').allTextContents();
    expect(likenesses).toHaveLength(2);
    const [mine, calibrated] = likenesses.map(Number);
    expect(calibrated).toBeGreaterThan(mine!);

    await page.getByRole('button', { name: 'calibrated, 10 passes' }).click();
    await drawn(page, 3);
    const schedules = await page
      .locator('.triple .strip')
      .evaluateAll(strips => strips.slice(0, 2).map(s => [...s.children].map(c => c.classList[0]).join()));
    expect(schedules[0]).toBe(schedules[1]);
  });
});
