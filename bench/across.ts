/**
 * Joins comparisons that were measured on the same pairs, and compares one method with all others: in the mean and on
 * the worst of 32, with paired 95 % intervals. Of a method that several folders have, the one with the higher mean is shown.
 *
 *   node bench/run.cjs bench/across.ts FOLDER FOLDER… [--method ertacache] [--skip 64] [--markdown] [--summary] [--csv]
 *
 * `--skip` leaves out the first pairs: those that were in sight while something was settled. `--summary` prints one table
 * for all budgets: the mean and the share below 40 dB. `--csv` prints what all of this is made from: a line for each pair,
 * with the PSNR of every method at every budget.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { GROUP } from '../src/lab/compare/aggregate';
import { type Comparison, cellOf, type PairResult, parseComparison, titleOf } from '../src/lab/compare/comparison';
import { aligned, markdown } from '../src/lab/report/table';
import { decibels, decibelsWithin, differenceText, passes, shareText } from '../src/lab/report/text';
import { quantileInterval } from '../src/metrics/quantile';
import { shareInterval } from '../src/metrics/share';
import { type Interval, mean, pairedDifference } from '../src/metrics/statistics';
import { worstOfDifference, worstOfInterval } from '../src/metrics/worst-of';

const { values: given, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    method: { type: 'string', default: 'ertacache' },
    skip: { type: 'string', default: '0' },
    markdown: { type: 'boolean', default: false },
    summary: { type: 'boolean', default: false },
    csv: { type: 'boolean', default: false },
  },
});

function read(folder: string): Comparison {
  const path = join(folder, 'comparison.json');
  return parseComparison(JSON.parse(readFileSync(path, 'utf8')), path);
}

/** The pairs of a method at a budget, without the first ones where asked for. */
const pairsOf = (comparison: Comparison, method: string, budget: number): readonly PairResult[] | undefined =>
  cellOf(comparison, method, budget)?.pairs.slice(Number(given.skip));

const psnrOf = (pairs: readonly PairResult[]): number[] => pairs.map(p => p.psnr);
const told = (interval: Interval | undefined): string => (interval ? differenceText(interval) : 'too few pairs');

/** What a method does by itself. */
function own(title: string, pairs: readonly PairResult[]): string[] {
  const psnr = psnrOf(pairs);
  const levels = pairs.flatMap(p => p.levels ?? []);
  const [differing, largest] = [levels.map(l => l.differing), levels.map(l => l.largest)];
  return [
    title,
    passes(mean(pairs.map(p => p.forwards))),
    shareText(shareInterval(psnr.map(v => v < 40)), true),
    shareText(shareInterval(psnr.map(v => v < 30)), true),
    decibelsWithin(quantileInterval(psnr, 0.1)),
    decibelsWithin(worstOfInterval(psnr, GROUP)),
    decibels(mean(psnr)),
    decibels(mean(pairs.map(p => p.floatPsnr))),
    levels.length === pairs.length ? `${(100 * mean(differing)).toFixed(1)} %` : '–',
    levels.length === pairs.length ? mean(largest).toFixed(1) : '–',
  ];
}

/** A method at a budget. */
interface Cell {
  readonly method: string;
  readonly title: string;
  readonly pairs: readonly PairResult[];
}

/**
 * What was measured of each method at a budget, the best last. Of two folders that have the same method the better one counts,
 * of the one that is compared with all others the first.
 */
function cellsAt(comparisons: readonly Comparison[], budget: number): Cell[] {
  const cells = new Map<string, Cell>();
  for (const comparison of comparisons) {
    for (const method of comparison.request.methods) {
      const pairs = pairsOf(comparison, method, budget);
      if (!pairs) continue;
      const known = cells.get(method);
      const better = known && method !== given.method && mean(psnrOf(pairs)) > mean(psnrOf(known.pairs));
      if (!known || better) cells.set(method, { method, title: titleOf(comparison, method), pairs });
    }
  }
  return [...cells.values()].sort((a, b) => mean(psnrOf(a.pairs)) - mean(psnrOf(b.pairs)));
}

/** The PSNR of every pair, in dB, by every method at every budget. */
function table({ request }: Comparison, comparisons: readonly Comparison[], budgets: readonly number[]): string {
  const columns = budgets.flatMap(budget => cellsAt(comparisons, budget).map(cell => ({ budget, ...cell })));
  const head = ['prompt', 'seed', ...columns.map(({ method, budget }) => `${method} ${budget}`)];
  const rows = request.evaluation.slice(Number(given.skip)).map(({ prompt, seed }, i) => {
    const psnr = columns.map(({ pairs }) => (pairs[i]?.psnr ?? Number.NaN).toFixed(3));
    return [`"${prompt.replaceAll('"', '""')}"`, seed, ...psnr];
  });
  return [head, ...rows].map(row => row.join()).join('\n');
}

/** The mean and the share below 40 dB of every method at every budget, the best at the first budget last. */
function summary(comparisons: readonly Comparison[], budgets: readonly number[]): string[][] {
  const all = budgets.map(budget => cellsAt(comparisons, budget));
  const meanOf = (cell: Cell | undefined): number => (cell ? mean(psnrOf(cell.pairs)) : Number.NaN);
  const names = [...(all[0] ?? [])].sort((a, b) => meanOf(a) - meanOf(b));
  const rows = names.map(({ method, title }) => [
    method === given.method ? `**${title}**` : title,
    ...all.flatMap(cells => {
      const cell = cells.find(one => one.method === method);
      if (!cell) return ['–', '–'];
      const below = psnrOf(cell.pairs).filter(v => v < 40).length / cell.pairs.length;
      return [decibels(meanOf(cell)), `${(100 * below).toFixed(1)} %`];
    }),
  ]);
  return [['method', ...budgets.flatMap(budget => [`${budget}: PSNR dB`, 'below 40 dB'])], ...rows];
}

function main(): void {
  const comparisons = folders.map(read);
  const [first] = comparisons;
  if (!first) throw new Error('Give the folders of at least one comparison.');
  for (const other of comparisons) {
    const same = isDeepStrictEqual(other.request.evaluation, first.request.evaluation);
    if (!same) throw new Error('The comparisons were not measured on the same pairs.');
  }
  const draw = given.markdown ? markdown : aligned;
  const budgets = [...new Set(comparisons.flatMap(comparison => comparison.request.budgets))].sort((a, b) => b - a);
  if (given.csv) {
    console.log(table(first, comparisons, budgets));
    return;
  }
  if (given.summary) {
    console.log(draw(summary(comparisons, budgets)));
    return;
  }
  for (const budget of budgets) {
    const cells = cellsAt(comparisons, budget);
    const rival = cells.find(cell => cell.method === given.method);
    if (!rival) continue;
    const theirs = psnrOf(rival.pairs);
    const rows = cells.map(({ method, title, pairs }) => {
      if (method === given.method) return [...own(given.markdown ? `**${title}**` : title, pairs), '', ''];
      const psnr = psnrOf(pairs);
      return [...own(title, pairs), told(pairedDifference(theirs, psnr)), told(worstOfDifference(theirs, psnr, GROUP))];
    });
    const head = [
      ...['method', 'forwards', 'below 40 dB', 'below 30 dB', '10 % quantile', `worst of ${GROUP}`],
      ...['PSNR dB', 'in floats', 'pixels off', 'by at most'],
      ...['ahead by', `on the worst of ${GROUP}`],
    ];
    console.log(`${budget} of ${first.request.steps} computed, ${theirs.length} pairs\n`);
    console.log(`${draw([head, ...rows])}\n`);
  }
}

main();
