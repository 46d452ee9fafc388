import type { Comparison } from '../../../src/lab/compare/comparison';
import { cellName, differenceName, pictureName } from '../../../src/lab/compare/names';
import { differenceLevels, writeDifference, writeStill } from '../../../src/lab/compare/pictures';
import { embedHeat, embedPicture, heatColour } from '../../../src/lab/report/page/embed';
import { escaped, html, raw } from '../../../src/lab/report/page/html';
import { renderPage } from '../../../src/lab/report/page/page';
import { profileOf } from '../../../src/lab/report/page/profile';
import { marksOf, placeOf } from '../../../src/lab/report/page/strips';
import { image } from '../../../src/media/pixels';
import { scratchFolder, testClip, testImage } from '../../media/pictures';
import { madeUp } from './toy';

const scratch = scratchFolder();

const flat = (value: number): ReturnType<typeof image> => image(new Float32Array(12 * 12 * 3).fill(value), 12, 12);

/** Writes every picture that a comparison's page shows, and renders the page. */
async function rendered(comparison: Comparison): Promise<string> {
  for (const [i] of comparison.request.evaluation.entries()) {
    await writeStill(scratch.path(pictureName('reference', i)), testImage(16, 16, i));
    for (const { method, budget } of comparison.cells) {
      const name = cellName(method, budget);
      await writeStill(scratch.path(pictureName(name, i)), testImage(16, 16, i + 1));
      await writeDifference(scratch.path(differenceName(name, i)), testImage(16, 16, i), testImage(16, 16, i + 1));
    }
  }
  return renderPage(comparison, name => scratch.path(name));
}

const count = (page: string, pattern: RegExp): number => page.match(pattern)?.length ?? 0;

describe('the page', () => {
  let page = '';
  beforeEach(async () => {
    page ||= await rendered(madeUp({ ertacache: [50, 44, 62], uniform: [41, 45, 40] }, [4, 3]));
  });

  test('needs nothing from elsewhere', () => {
    expect(page).not.toMatch(/https?:|\/\/[a-z]|<script|<link|@import|url\((?!#)/i);
    expect(count(page, /src="/g)).toBe(count(page, /src="data:image\//g));
  });

  test('shows every method, budget, chart and picture', () => {
    for (const id of ['curves', 'fewest', 'schedules', 'pictures', 'profile', 'numbers', 'methods', 'about']) {
      expect(page).toContain(`<section id="${id}">`);
      expect(page).toContain(`<a href="#${id}">`);
    }
    // For each budget and pair: the uncached picture, and a picture and a difference for each method.
    expect(count(page, /<img /g)).toBe(2 * 3 * (1 + 2 * 2));
    expect(count(page, /<svg class="chart"/g)).toBe(3);
    expect(count(page, /class="strip(?: strong)?"/g)).toBe(4);
    expect(page).toContain('On its worst picture it keeps 44.0 dB. It is ahead of the next best, UNIFORM');
    expect(page).not.toMatch(/NaN|Infinity|undefined|\[object/);
  });

  test('the worst pairs come first', () => {
    const prompts = [...page.matchAll(/<th scope="row">(prompt \d)/g)].map(m => m[1]);
    expect(prompts.slice(0, 3)).toEqual(['prompt 1', 'prompt 0', 'prompt 2']);
  });

  test('can be read by those who do not see it: language, title, heads, texts for all that is drawn', () => {
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">/);
    expect(page).toContain('<title>How many of 8 steps does toy need? · ertacache</title>');
    expect(page).toContain('<meta name="viewport"');
    expect(count(page, /<h1>/g)).toBe(1);
    for (const tag of page.match(/<img [^>]*>/g) ?? []) expect(tag).toMatch(/ alt="[^"]{5,}"/);
    for (const tag of page.match(/<svg [^>]*>/g) ?? [])
      expect(tag).toMatch(/role="img" aria-label="[^"]{5,}"|aria-hidden="true"/);
    for (const tag of page.match(/<th[ >][^>]*>/g) ?? []) expect(tag).toContain('scope=');
    const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(m => m[1]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('what people typed is text, never markup', () => {
    expect(page).toContain('prompt 0 &lt;b&gt;&amp;&quot;');
    expect(page).not.toContain('<b>&"');
    expect(page).toContain('ertacache compare --model &#39;a &lt;b&gt;&#39;');
  });
});

test('an unfinished comparison says so and shows what it has', async () => {
  const comparison = madeUp({ ertacache: [50, 44], uniform: [41, 45] }, [4, 3]);
  comparison.state = 'running';
  comparison.cells = comparison.cells.filter(c => c.budget === 4 && c.method === 'uniform');
  const page = await rendered(comparison);
  expect(page).toContain('The comparison is not complete');
  expect(page).toContain('UNIFORM, 4 of 8 steps');
  expect(page).not.toMatch(/NaN|undefined/);
});

test('an ablation is shown as gains', async () => {
  const comparison = madeUp({ base: [41, 45, 40], part: [50, 44, 62] });
  comparison.request.kind = 'ablation';
  const page = await rendered(comparison);
  expect(page).toContain('<section id="gains">');
  expect(page).not.toContain('id="curves"');
});

test('markup is escaped by default', () => {
  expect(html`<p>${'<&"\''} ${3} ${raw('<b>')} ${[html`<i>${'>'}</i>`, undefined]}</p>`.markup).toBe(
    '<p>&lt;&amp;&quot;&#39; 3 <b> <i>&gt;</i></p>',
  );
  expect(escaped('a & b')).toBe('a &amp; b');
});

test('differences are drawn on a logarithmic scale from a thousandth to all of the range', () => {
  const level = (difference: number): number => differenceLevels(flat(0), flat(difference))[0]!;
  expect([level(0), level(1e-4), level(1e-3), level(1)]).toEqual([0, 0, 0, 255]);
  expect(level(0.1)).toBe(170);
  expect(heatColour(0)).toEqual([8, 6, 20]);
  expect(heatColour(1)).toEqual([252, 253, 191]);
});

test('small pictures are embedded as they are, large ones reduced, clips by their middle frame', async () => {
  await writeStill(scratch.path('small.png'), testImage(20, 30));
  await writeStill(scratch.path('large.png'), testImage(300, 600));
  await writeStill(scratch.path('clip.png'), testClip(5, 16, 24));
  await writeDifference(scratch.path('d.png'), testClip(5, 16, 24), testClip(5, 16, 24));
  expect(await embedPicture(scratch.path('small.png'))).toMatchObject({ width: 30, height: 20 });
  const large = await embedPicture(scratch.path('large.png'));
  expect([large.width, large.height, large.uri.slice(0, 16)]).toEqual([256, 128, 'data:image/webp;']);
  expect(await embedPicture(scratch.path('clip.png'))).toMatchObject({ width: 24, height: 16 });
  expect((await embedHeat(scratch.path('d.png'))).uri).toMatch(/^data:image\/png;base64,/);
});

test('the profile has the spread over pairs at every step but the first', () => {
  const profile = profileOf([
    [null, 1, 4],
    [null, 3, 4],
    [null, 2, 7],
  ]);
  expect(profile).toEqual([
    { step: 2, mean: 2, low: 1, high: 3, least: 1, most: 3 },
    { step: 3, mean: 5, low: 4, high: 7, least: 4, most: 7 },
  ]);
});

test('strips lie on the base schedule, whatever grid a method runs on', () => {
  const base = [1, 0.75, 0.5, 0.25, 0];
  expect([placeOf(1, base), placeOf(0.625, base), placeOf(0, base)]).toEqual([0, 1.5, 4]);
  const cell = madeUp({ a: [40, 41] }).cells[0]!;
  const runs = ['#.', '##'].map(schedule => ({ ...cell.pairs[0]!, schedule }));
  expect(marksOf({ ...cell, sigmas: [1, 0.5, 0], pairs: runs }, base)).toEqual([
    { at: 0, share: 1 },
    { at: 2, share: 0.5 },
  ]);
});
