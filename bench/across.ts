/**
 * Compares one method of a comparison with every method of others that were measured on the same pairs: in the mean and
 * on the worst of 32, with paired 95 % intervals.
 *
 *   node bench/run.cjs bench/across.ts FOLDER FOLDER… [--method ertacache] [--skip 64]
 *
 * `--skip` leaves out the first pairs: those that were in sight while something was settled.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { GROUP } from '../src/lab/compare/aggregate';
import { type Comparison, cellOf, parseComparison, titleOf } from '../src/lab/compare/comparison';
import { aligned } from '../src/lab/report/table';
import { differenceText } from '../src/lab/report/text';
import { type Interval, meanInterval, pairedDifference } from '../src/metrics/statistics';
import { worstOfDifference } from '../src/metrics/worst-of';

const { values: given, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: { method: { type: 'string', default: 'ertacache' }, skip: { type: 'string', default: '0' } },
});

function read(folder: string): Comparison {
  const path = join(folder, 'comparison.json');
  return parseComparison(JSON.parse(readFileSync(path, 'utf8')), path);
}

function psnrOf(comparison: Comparison, method: string, budget: number): number[] | undefined {
  return cellOf(comparison, method, budget)
    ?.pairs.slice(Number(given.skip))
    .map(p => p.psnr);
}

const told = (interval: Interval | undefined): string => (interval ? differenceText(interval) : 'too few pairs');

function main(): void {
  const [first, ...others] = folders.map(read);
  if (!first) throw new Error('Give the folders of at least one comparison.');
  for (const other of others) {
    const same = isDeepStrictEqual(other.request.evaluation, first.request.evaluation);
    if (!same) throw new Error('The comparisons were not measured on the same pairs.');
  }
  for (const budget of first.request.budgets) {
    const own = psnrOf(first, given.method, budget);
    if (!own) continue;
    const rows = [first, ...others].flatMap(comparison =>
      comparison.request.methods.flatMap(method => {
        const theirs = method === given.method ? undefined : psnrOf(comparison, method, budget);
        if (!theirs) return [];
        const worst = worstOfDifference(own, theirs, GROUP);
        return [[titleOf(comparison, method), told(pairedDifference(own, theirs)), told(worst)]];
      }),
    );
    const { mean, count } = meanInterval(own);
    console.log(`${budget} computed: ${titleOf(first, given.method)} has ${mean.toFixed(2)} dB over ${count} pairs`);
    const head = ['', 'it is ahead by', `on the worst of ${GROUP} by`];
    console.log(`${aligned([head, ...rows])}\n`);
  }
}

main();
