import { fewestForwards, reversed, summarise } from '../../../src/lab/compare/aggregate';
import { parseComparison } from '../../../src/lab/compare/comparison';
import { fewBudgets } from '../../../src/lab/report/page/few-budgets';
import { comparisonText } from '../../../src/lab/report/table';
import { budgetsText, verdict } from '../../../src/lab/report/text';
import { meanInterval, pairedDifference } from '../../../src/metrics/statistics';
import { worstOf, worstOfDifference } from '../../../src/metrics/worst-of';
import { madeUp } from './toy';

const ours = [50, 44, 62, 48];
const theirs = [41, 45, 40, 39];

test('a summary has mean, spread, worst and interval of every metric', () => {
  const [first] = summarise(madeUp({ ours, theirs }));
  expect(first).toMatchObject({ method: 'ours', title: 'OURS', budget: 4, computed: 4, forwards: 4, flops: 4e9 });
  expect(first!.psnr).toMatchObject({ ...meanInterval(ours), worst: 44 });
  expect(first!.psnr.std).toBeCloseTo(7.746, 3);
  expect(first!.ssim.worst).toBeCloseTo(0.44);
  expect([first!.behind, first!.lpips]).toEqual([undefined, undefined]);
});

test('a summary says who keeps what: shares below 40 and 30 dB, and the tenth that is nearest to them', () => {
  const kept = Array.from({ length: 40 }, (_, i) => (i < 2 ? 25 : i < 6 ? 35 : 50 + i));
  const [first] = summarise(madeUp({ kept }));
  expect([first!.below40.mean, first!.below30.mean]).toEqual([6 / 40, 2 / 40]);
  expect(first!.below30.low).toBeLessThan(2 / 40);
  expect(first!.below30.high).toBeGreaterThan(2 / 40);
  expect(first!.tenth.mean).toBe(35);
  expect(first!.floatPsnr.mean).toBeCloseTo(first!.psnr.mean + 0.5);
});

test('methods are compared pair by pair with the one of interest', () => {
  const [, second] = summarise(madeUp({ ours, theirs }));
  expect(second!.behind).toEqual(pairedDifference(ours, theirs));
  expect(second!.losses).toBe(3);
  const { low, high, mean } = reversed(second!.behind!);
  expect([low, mean, high]).toEqual([-second!.behind!.high, -second!.behind!.mean, -second!.behind!.low]);
});

test('time is the median of runs, speed-up of the ratios of runs side by side', () => {
  const [first] = summarise(madeUp({ ours }));
  expect([first!.seconds, first!.speedup]).toEqual([1, 2.2]);
});

test('fewest forwards is the smallest setting that keeps both mean and worst', () => {
  const comparison = madeUp({ ours, theirs: [60, 29, 60, 60] }, [6, 4]);
  const own = comparison.cells.find(c => c.method === 'ours' && c.budget === 4)!;
  own.pairs = own.pairs.map(p => ({ ...p, forwards: 4.5 }));
  const [first, second] = fewestForwards(comparison);
  expect(first!.met).toMatchObject({ budget: 4, forwards: 4.5 });
  expect(second!.met).toBeUndefined();
});

test('a single pair has no interval, and nothing is made of that', () => {
  const comparison = madeUp({ ours: [50], theirs: [40] });
  const [first, second] = summarise(comparison);
  expect([first!.psnr.mean, first!.psnr.worst, Number.isFinite(first!.psnr.high)]).toEqual([50, 50, false]);
  expect(second!.behind!.mean).toBe(10);
  expect(comparisonText(comparison, 'terminal')).not.toMatch(/NaN|Infinity/);
});

test('the table is aligned, and the same as Markdown', () => {
  const comparison = madeUp({ ours, theirs });
  comparison.refused.push({ method: 'third', budget: 4, reason: 'It cannot.' });
  const lines = comparisonText(comparison, 'terminal').split('\n');
  expect(lines[0]).toBe('4 of 8 steps computed');
  expect(lines[1]).toMatch(
    /^method +forwards +below 40 dB +below 30 dB +10 % quantile +worst +PSNR dB +± +in floats +SSIM +seconds +speed-up +OURS is ahead by, on$/,
  );
  expect(lines[2]).toMatch(
    /^OURS +4 +0\.0 % \[0\.0, [\d.]+\] +0\.0 % \[0\.0, [\d.]+\] +45\.20 \[44\.0, [\d.]+\] +44\.00 +51\.00 +±12\.33 +51\.50 +0\.5100 +1\.00 +2\.20×$/,
  );
  expect(lines[3]).toMatch(/\+9\.75 \[−5\.25, \+24\.75\], 3\/4$/);
  expect(lines[4]).toBe('third: It cannot.');
  expect(lines[1]!.indexOf('±') + 1).toBe(lines[2]!.indexOf('±12.33') + 6);

  const table = comparisonText(comparison, 'markdown').split('\n');
  expect(table[3]).toBe(`| --- |${' ---: |'.repeat(12)}`);
  expect(table[4]).toMatch(/^\| OURS \| 4 \| 0\.0 % \[/);
});

test('of many pictures the worst is told by groups, so that it does not hang on how many there were', () => {
  const many = Array.from({ length: 160 }, (_, i) => 60 - 0.1 * i);
  const flipped = many.map((v, i) => (i === 80 ? 12 : v - 1));
  const comparison = madeUp({ ours: many, theirs: flipped });
  const [first, second] = summarise(comparison);
  expect(first!.psnr.worst).toBeCloseTo(44.1);
  expect(first!.worstOfGroup.mean).toBeCloseTo(worstOf(many, 32));
  expect(first!.worstOfGroup.low).toBeLessThan(first!.worstOfGroup.mean);
  expect(first!.worstOfGroup.high).toBeGreaterThan(first!.worstOfGroup.mean);
  expect(second!.worstBehind).toEqual(worstOfDifference(many, flipped, 32));
  const [, head, , row] = comparisonText(comparison, 'terminal').split('\n');
  expect(head).toMatch(/ 10 % quantile +worst of 32 +PSNR dB .* OURS is ahead by, on +and on the worst of 32 by$/);
  expect(row).toMatch(/ 0\.6 % \[0\.1, 3\.5\] +.* 3[0-9]\.\d\d \[.* \+\d+\.\d\d \[[+−][\d.]+, \+[\d.]+\]$/);
  expect(comparisonText(comparison, 'terminal')).toContain('mean PSNR ≥ 40 dB and worst of 32 ≥ 30 dB');
  // One picture in 160 is below; of 32 the lowest is far above on average.
  expect(fewestForwards(comparison)[1]!.met).toBeDefined();
  expect(verdict(comparison, summarise(comparison), 4)!.text).toMatch(
    /^On the worst of 32 pictures it keeps 44\.\d dB\./,
  );
});

test('what a screen shows of the differences is told where it was measured', () => {
  const comparison = madeUp({ ours: [50, 44], theirs: [41, 45] });
  expect(summarise(comparison)[0]!.levels).toBeUndefined();
  expect(comparisonText(comparison, 'terminal')).not.toContain('pixels off');

  comparison.cells[0]!.pairs.forEach((pair, i) => {
    pair.levels = { differing: i === 0 ? 0.02 : 0.05, largest: i === 0 ? 1 : 4 };
  });
  const { differing, largest } = summarise(comparison)[0]!.levels!;
  expect([differing.mean, differing.worst, largest.mean, largest.worst]).toEqual([0.035, 0.05, 2.5, 4]);
  const [, head, first, second] = comparisonText(comparison, 'terminal').split('\n');
  expect(head).toMatch(/ SSIM +pixels off +by at most +seconds /);
  expect([first, second]).toEqual([expect.stringMatching(/ 3\.5 % +2\.5 +1/), expect.stringMatching(/ – +– +1/)]);
  expect(comparisonText(comparison, 'terminal')).toContain('in levels of 255; means over pairs.');
});

test('the ablation is told as gains over its base', () => {
  const comparison = madeUp({ base: theirs, part: ours });
  comparison.request.kind = 'ablation';
  const text = comparisonText(comparison, 'markdown');
  expect(text).toContain('| PART | 51.00 ± 7.75 | 44.00 | 0.5100 | +9.75 [−5.25, +24.75] |');
  expect(text).not.toContain('Fewest');
});

test('the verdict names who leads, also when it is not the method of interest', () => {
  const told = (comparison: ReturnType<typeof madeUp>) => verdict(comparison, summarise(comparison), 4)!;
  const leading = told(madeUp({ ours, theirs }));
  expect([leading.shown.method, leading.text]).toEqual([
    'ours',
    'On its worst picture it keeps 44.0 dB. It is ahead of the next best, THEIRS, by 9.8 dB (−5.3 to 24.8 at 95 % ' +
      'confidence, so it may be chance), and nearer on 3 of 4 pictures.',
  ]);
  const behind = told(madeUp({ ours: theirs, theirs: [51, 46, 50, 50] }));
  expect([behind.shown.method, behind.text]).toEqual([
    'ours',
    'On its worst picture it keeps 39.0 dB; THEIRS keeps 46.0 dB on its own. THEIRS is ahead of it by 8.0 dB (0.5 to ' +
      '15.5 at 95 % confidence), and nearer on 4 of 4 pictures.',
  ]);
});

test('where two methods draw the same picture neither is nearer', () => {
  const comparison = madeUp({ ours: [100, 100, 40, 100], theirs: [100, 100, 50, 100] });
  expect(verdict(comparison, summarise(comparison), 4)!.text).toContain('nearer on 1 of 4 pictures.');
});

test('many budgets are told by their ends and shown by four', () => {
  expect([budgetsText([15, 10, 6]), budgetsText([9, 8, 7, 6, 5])]).toEqual(['15, 10 and 6', '5 to 9']);
  expect([fewBudgets([15, 10, 6]), fewBudgets([15, 14, 13, 12, 11, 10, 9])]).toEqual([
    [15, 10, 6],
    [15, 13, 11, 9],
  ]);
});

test('a comparison is read back as it was, and a foreign file is refused by field', () => {
  const comparison = madeUp({ ours, theirs });
  expect(parseComparison(JSON.parse(JSON.stringify(comparison)), 'file')).toEqual(comparison);
  expect(() => parseComparison({ ...comparison, cells: [{ method: 'a' }] }, 'x.json')).toThrow(
    /^x\.json is not a comparison of ertacache: cells\.0\.budget/,
  );
});
