import { ShapeError } from '../../src/errors';
import { dense, frameSize, fromBytes, toBytes } from '../../src/media/pixels';
import { renderSheet, spreadFrames } from '../../src/media/sheet';
import { layOut } from '../../src/media/sheet-layout';
import { escapeXml, textWidth, wrapText } from '../../src/media/text';
import { testClip, testImage } from './pictures';

const sheet = {
  title: 'Cached beside uncached',
  columns: ['red heart', 'a <very> long & winding description of a picture that nobody wants to read to its end'],
  rows: [
    { header: 'uncached', images: [testImage(32, 32), testImage(32, 32, 1)] },
    { header: 'cached', note: '15 of 30', images: [testImage(32, 32, 2)], captions: ['41.2 dB'] },
  ],
  footer: 'seed 1',
};

test('pictures are enlarged by whole pixels and stand unchanged on the sheet', async () => {
  const page = await renderSheet(sheet);
  const { images, width, height } = layOut(sheet);
  expect(frameSize(page)).toEqual({ width, height });
  expect(images.length).toBe(3);
  for (const { image, left, top, width: shown } of images) {
    const scale = shown / 32;
    expect(scale).toBe(6);
    const crop = page
      .lo(top, left, 0)
      .hi(scale * 32, scale * 32, 3)
      .step(scale, scale, 1);
    expect(toBytes(crop)).toEqual(toBytes(image));
  }
});

test('pictures do not overlap, lie on the page, and rows line up', () => {
  const { images, width, height } = layOut(sheet);
  const [first, second, third] = images as [(typeof images)[0], (typeof images)[0], (typeof images)[0]];
  expect(second.left).toBeGreaterThanOrEqual(first.left + first.width);
  expect(third.top).toBeGreaterThanOrEqual(first.top + first.height);
  expect([second.top, third.left]).toEqual([first.top, first.left]);
  for (const at of images) expect(at.left + at.width <= width && at.top + at.height <= height).toBe(true);
});

test('words are drawn, and escaped', async () => {
  const { svg } = layOut(sheet);
  expect(svg).toContain('a &lt;very&gt; long');
  expect(svg).not.toContain('<very>');
  const page = await renderSheet({ rows: [], title: 'Words' });
  expect(Math.min(...dense(page))).toBeLessThan(0.3);
});

test('captions stand under their own pictures and above the next row', () => {
  const [upper, lower] = [testImage(32, 32), testImage(16, 32, 1)];
  const { svg, images, height } = layOut({
    rows: [
      {
        header: 'first',
        images: [upper, lower],
        captions: ['41.2 dB', 'a <long> caption that takes two lines at least'],
      },
      { header: 'second', images: [upper] },
    ],
  });
  const texts = [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)" [^>]*text-anchor="middle">(.*)<\/text>/g)].map(
    ([, x, y, text]) => ({ x: Number(x), y: Number(y), text }),
  );
  const [first, second, next] = images as [(typeof images)[0], (typeof images)[0], (typeof images)[0]];
  expect(texts.map(({ text }) => text)).toEqual(['41.2 dB', 'a &lt;long&gt; caption that', 'takes two lines at least']);
  expect(texts.map(({ x }) => x)).toEqual([first, second, second].map(at => at.left + at.width / 2));
  for (const { y } of texts) {
    // The row is as high as its highest picture.
    expect(y).toBeGreaterThan(first.top + first.height);
    expect(y).toBeLessThan(next.top);
  }
  expect(next.top + next.height).toBeLessThan(height);
});

test('large pictures are reduced to the cell, keeping their proportions', () => {
  const wide = { rows: [{ header: '', images: [fromBytes(new Uint8Array(100 * 400 * 3), [100, 400, 3])] }], cell: 200 };
  expect(layOut(wide).images[0]).toMatchObject({ width: 200, height: 50 });
});

test('frames are spread over the clip', () => {
  const clip = testClip(9, 4, 4);
  expect(spreadFrames(clip, 3).map(({ index }) => index)).toEqual([0, 4, 8]);
  expect(spreadFrames(clip, 1).map(({ index }) => index)).toEqual([0]);
  expect(spreadFrames(clip, 20).length).toBe(9);
  expect(spreadFrames(testImage(4, 4), 3).length).toBe(1);
});

test('a clip in the place of a picture is refused', async () => {
  await expect(renderSheet({ rows: [{ header: '', images: [testClip(2, 4, 4)] }] })).rejects.toThrow(ShapeError);
});

test('text wraps at words, is cut where it must be, and forbidden characters go', () => {
  const style = { size: 10, colour: '#000' };
  expect(wrapText('one two three', style, textWidth('one two', style) + 1, 3).lines).toEqual(['one two', 'three']);
  const cut = wrapText('one two three four', style, textWidth('one two', style), 1);
  expect(cut.lines.length).toBe(1);
  expect(cut.lines[0]).toMatch(/^one.*…$/);
  expect(cut.width).toBeLessThanOrEqual(textWidth('one two', style));
  expect(wrapText('Donaudampfschiff', style, 40, 2).lines[0]).toMatch(/^Donau?…$/);
  expect(wrapText('  ', style, 40, 2)).toEqual({ lines: [], width: 0 });
  expect(escapeXml('a\u0000<b>&"\ud800')).toBe('a&lt;b&gt;&amp;&quot;');
});
