import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withTable } from '../../bench/measure/readme';
import { middleOf, ratio } from '../../bench/measure/turns';
import { packageRoot } from '../../src/io/package-root';

const README = join(packageRoot(), 'bench/README.md');

test('a table is written between its marks, and nothing else', () => {
  const text = 'a <!-- table b -->\n\nold\n\n<!-- end b --> c <!-- table d -->\n\n<!-- end d -->';
  const written = withTable(text, 'b', '| new |\n');
  expect(written).toBe('a <!-- table b -->\n\n| new |\n\n<!-- end b --> c <!-- table d -->\n\n<!-- end d -->');
  expect(withTable(written, 'b', '| new |')).toBe(written);
  expect(() => withTable(text, 'e', '')).toThrow('no marks of a table called e');
});

test('medians come with intervals: all values of few, the middle ones of many', () => {
  expect(middleOf([3, 1, 2])).toEqual({ middle: 2, low: 1, high: 3 });
  const { middle, low, high } = middleOf(Array.from({ length: 101 }, (_, i) => 100 - i));
  expect(middle).toBe(50);
  expect([low, high]).toEqual([39, 61]);
  const turns = {
    seconds: [
      [2, 4, 9],
      [1, 2, 3],
    ],
    load: 0,
    busy: false,
  };
  expect(ratio(turns, 0, 1)).toEqual({ middle: 2, low: 2, high: 3 });
});

test('every table that is measured has its place', () => {
  const { stderr, status } = spawnSync(process.execPath, ['bench/run.cjs', 'bench/all.ts', '--only', 'nothing'], {
    cwd: packageRoot(),
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  const names = stderr.match(/there are (.*)\./)![1]!.split(', ');
  expect(names).toContain('threads');
  const text = readFileSync(README, 'utf8');
  for (const name of names) expect(() => withTable(text, name, '')).not.toThrow();
});
