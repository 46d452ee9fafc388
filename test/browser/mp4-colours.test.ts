/** What Node writes as MP4, in the colours that a player shows. */
import type { Browser } from 'playwright-core';
import { encodeMp4 } from '../../src/media/mp4';
import { clip } from '../../src/media/pixels';
import { describeInBrowser, startChromium } from '../support/chromium';

const COLOURS = [
  [40, 200, 60],
  [220, 40, 50],
  [30, 60, 210],
  [128, 128, 128],
] as const;
/** Columns of each colour. */
const WIDE = 16;

/** Two frames of upright bars. */
function bars(height: number): ReturnType<typeof clip> {
  const row = COLOURS.flatMap(colour => Array.from({ length: WIDE }, () => colour.map(value => value / 255)).flat());
  const rows = Array.from({ length: 2 * height }, () => row).flat();
  return clip(Float32Array.from(rows), 2, height, COLOURS.length * WIDE);
}

describeInBrowser('an MP4 in Chromium', () => {
  let chromium: Browser;
  beforeAll(async () => {
    chromium = await startChromium();
  }, 60_000);
  afterAll(() => chromium.close());

  test.each([480, 720])(
    'has its colours where it has %s lines',
    async height => {
      const file = Buffer.from(await encodeMp4(bars(height), { fps: 8 })).toString('base64');
      const page = await chromium.newPage();
      const seen = await page.evaluate(
        async ({ file, middles, y }) => {
          const video = document.createElement('video');
          video.src = `data:video/mp4;base64,${file}`;
          video.muted = true;
          document.body.append(video);
          // What is not shown yet has no pixels.
          await video.play();
          await new Promise(resolve => video.requestVideoFrameCallback(resolve));
          const context = new OffscreenCanvas(video.videoWidth, video.videoHeight).getContext('2d')!;
          context.drawImage(video, 0, 0);
          return middles.map(x => [...context.getImageData(x, y, 1, 1).data.subarray(0, 3)]);
        },
        { file, middles: COLOURS.map((_, i) => WIDE * (i + 0.5)), y: height / 2 },
      );
      await page.close();
      const errors = COLOURS.map((colour, i) => Math.max(...colour.map((value, c) => Math.abs(value - seen[i]![c]!))));
      expect(Math.max(...errors)).toBeLessThanOrEqual(6);
    },
    60_000,
  );
});
