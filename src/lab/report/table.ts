import { shareInterval } from '../../metrics/share';
import { meanInterval } from '../../metrics/statistics';
import {
  type Fewest,
  fewestForwards,
  GROUP,
  reversed,
  type Summary,
  summarise,
  USUAL_DEMAND,
} from '../compare/aggregate';
import { type Comparison, cellOf, titleOf } from '../compare/comparison';
import {
  budgetsText,
  decibels,
  decibelsWithin,
  differenceText,
  fewestText,
  levelTexts,
  likeness,
  lpipsText,
  passes,
  reach,
  seconds,
  shareText,
  signed,
  times,
  worstTitle,
} from './text';

type Row = readonly string[];

/** Rows in columns, the first one to the left and numbers to the right. */
export function aligned(rows: readonly Row[]): string {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map(row => (row[c] ?? '').length)));
  return rows
    .map(row =>
      row
        .map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The same as a Markdown table. */
export function markdown(rows: readonly Row[]): string {
  const line = (row: Row): string => `| ${row.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(head.map((_, c) => (c === 0 ? '---' : '---:'))), ...body.map(line)].join('\n');
}

/** A comparison for the terminal or, as Markdown, for a document. */
export function comparisonText(comparison: Comparison, form: 'terminal' | 'markdown'): string {
  const summaries = summarise(comparison);
  const { budgets, steps, evaluation, kind } = comparison.request;
  const draw = form === 'markdown' ? markdown : aligned;
  const tables = budgets.map(budget => {
    const own = summaries.filter(s => s.budget === budget);
    const rows = kind === 'ablation' ? ablationTable(own) : methodTable(comparison, own);
    const refused = comparison.refused.filter(r => r.budget === budget);
    return [
      `${form === 'markdown' ? '**' : ''}${budget} of ${steps} steps computed${form === 'markdown' ? '**' : ''}`,
      ...(form === 'markdown' ? [''] : []),
      draw(rows),
      ...refused.map(r => `${titleOf(comparison, r.method)}: ${r.reason}`),
    ].join('\n');
  });
  const few = kind === 'methods' ? [...groupTables(comparison, draw), fewestTable(comparison, draw)] : [];
  const state = comparison.state === 'complete' ? '' : ' Not complete.';
  const note =
    `Of the 8-bit pixels that are written, against the uncached run of the same prompt and seed, ${evaluation.length} ` +
    'pairs: the shares of pictures below 40 and 30 dB, the PSNR that a tenth of them does not reach, mean PSNR, SSIM and ' +
    `LPIPS. In floats is the mean PSNR before pixels are rounded. ± and [ ] are 95 % intervals over pairs.` +
    `${shown(summaries)}${groups(evaluation.length)}${fewNote(evaluation.length)}${state}`;
  return [...tables, ...few, note].join('\n\n');
}

/** What is said of 8-bit pixels, where they were compared. */
function shown(summaries: readonly Summary[]): string {
  return summaries.some(s => s.levels)
    ? ' Pixels off is the share of 8-bit pixels that differ in any colour, by at most the largest difference of a picture, ' +
        'in levels of 255; means over pairs.'
    : '';
}

/** Of fewer pairs an interval is so wide that it says little. */
const FEW_PAIRS = 4;

const fewNote = (pairs: number): string =>
  pairs < FEW_PAIRS
    ? ` Intervals of ${pairs} ${pairs === 1 ? 'pair' : 'pairs'} say next to nothing: compare on more.`
    : '';

/** What the worst of a group is, where there are more pictures than one group. */
function groups(pairs: number): string {
  return pairs > GROUP ? ` The worst of ${GROUP} is the lowest of ${GROUP} pictures, on average over all choices.` : '';
}

/** A column of the table: its head, and what it says of a method. */
type Column = readonly [head: string, of: (summary: Summary) => string];

/** Who keeps which pictures comes first, then how near they are on average, then what it costs. */
function methodTable(comparison: Comparison, summaries: readonly Summary[]): Row[] {
  const rival = titleOf(comparison, comparison.request.against);
  const has = (known: (summary: Summary) => unknown): boolean => summaries.some(s => known(s) !== undefined);
  const columns: Column[] = [
    ['method', s => s.title],
    ['forwards', s => passes(s.forwards)],
    ['below 40 dB', s => shareText(s.below40, true)],
    ['below 30 dB', s => shareText(s.below30, true)],
    ['10 % quantile', s => decibelsWithin(s.tenth)],
    [worstTitle(comparison.request.evaluation.length), s => decibelsWithin(s.worstOfGroup)],
    ['PSNR dB', s => decibels(s.psnr.mean)],
    ['±', s => reach(s.psnr)],
    ['in floats', s => decibels(s.floatPsnr.mean)],
    ['SSIM', s => likeness(s.ssim.mean)],
  ];
  if (has(s => s.levels)) {
    columns.push(['pixels off', s => levelTexts(s.levels)[0]], ['by at most', s => levelTexts(s.levels)[1]]);
  }
  if (has(s => s.lpips)) columns.push(['LPIPS', s => lpipsText(s.lpips)]);
  if (has(s => s.seconds)) {
    columns.push(
      ['seconds', s => (s.seconds === undefined ? '–' : seconds(s.seconds))],
      ['speed-up', s => (s.speedup === undefined ? '–' : times(s.speedup))],
    );
  }
  if (has(s => s.behind)) {
    columns.push([
      `${rival} is ahead by, on`,
      s => (s.behind ? `${differenceText(s.behind)}, ${s.losses}/${s.behind.count}` : ''),
    ]);
  }
  if (has(s => s.worstBehind)) {
    columns.push([`and on the worst of ${GROUP} by`, s => (s.worstBehind ? differenceText(s.worstBehind) : '')]);
  }
  return [columns.map(([head]) => head), ...summaries.map(s => columns.map(([, of]) => of(s)))];
}

function ablationTable(summaries: readonly Summary[]): Row[] {
  const rows = summaries.map(s => {
    return [
      s.title,
      `${decibels(s.psnr.mean)} ± ${s.psnr.std.toFixed(2)}`,
      decibels(s.psnr.worst),
      likeness(s.ssim.mean),
      s.behind ? differenceText(reversed(s.behind)) : signed(0),
    ];
  });
  return [['site: recipe', 'PSNR dB ± std', 'worst', 'SSIM', 'gain over uniform reuse [95 %]'], ...rows];
}

/** Each kind of prompt by itself, where there are several: mean PSNR, and how many pictures are below 40 dB. */
function groupTables(comparison: Comparison, draw: (rows: readonly Row[]) => string): string[] {
  const { budgets, evaluation, methods, steps } = comparison.request;
  const kinds = [...new Set(evaluation.map(({ group = 'ordinary' }) => group))];
  if (kinds.length < 2) return [];
  return budgets.map(budget => {
    const rows = methods.flatMap((method): Row[] => {
      const cell = cellOf(comparison, method, budget);
      if (!cell) return [];
      const ofKind = (kind: string): string => {
        const own = cell.pairs.filter((_, i) => (evaluation[i]?.group ?? 'ordinary') === kind).map(({ psnr }) => psnr);
        const { mean, ...ends } = meanInterval(own);
        const below = shareText(shareInterval(own.map(psnr => psnr < 40)));
        return own.length === 0 ? '–' : `${decibels(mean)} ${reach({ mean, ...ends })}, ${below}`;
      };
      return [[titleOf(comparison, method), ...kinds.map(ofKind)]];
    });
    const counted = kinds.map(kind => {
      const count = evaluation.filter(({ group = 'ordinary' }) => group === kind).length;
      return `${kind} (${count})`;
    });
    return [
      `${budget} of ${steps} steps by kind of prompt: mean PSNR dB, share below 40 dB`,
      ...(draw === markdown ? [''] : []),
      draw([['method', ...counted], ...rows]),
    ].join('\n');
  });
}

function fewestTable(comparison: Comparison, draw: (rows: readonly Row[]) => string): string {
  const { mean, worst } = USUAL_DEMAND;
  const rows = fewestForwards(comparison).map((few: Fewest) => [few.title, fewestText(few)]);
  const { budgets, evaluation } = comparison.request;
  return [
    `Fewest forward passes with mean PSNR ≥ ${mean} dB and ${worstTitle(evaluation.length)} ≥ ${worst} dB, of ${budgetsText(budgets)} computed steps`,
    ...(draw === markdown ? [''] : []),
    draw([['method', 'forwards'], ...rows]),
  ].join('\n');
}
