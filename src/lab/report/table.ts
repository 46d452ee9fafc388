import {
  type Fewest,
  fewestForwards,
  GROUP,
  reversed,
  type Summary,
  summarise,
  USUAL_DEMAND,
} from '../compare/aggregate';
import { type Comparison, titleOf } from '../compare/comparison';
import {
  budgetsText,
  decibels,
  differenceText,
  fewestText,
  levelTexts,
  likeness,
  lpipsText,
  passes,
  reach,
  seconds,
  signed,
  times,
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
  const few = kind === 'methods' ? [fewestTable(comparison, draw)] : [];
  const state = comparison.state === 'complete' ? '' : ' Not complete.';
  const note =
    `PSNR, SSIM and LPIPS of the final picture against the uncached run of the same prompt and seed, ` +
    `${evaluation.length} pairs; ± and [ ] are 95 % intervals over pairs.${shown(summaries)}${groups(evaluation.length)}${state}`;
  return [...tables, ...few, note].join('\n\n');
}

/** What is said of 8-bit pixels, where they were compared. */
function shown(summaries: readonly Summary[]): string {
  return summaries.some(s => s.levels)
    ? ' Pixels off is the share of 8-bit pixels that differ in any colour, by at most the largest difference of a picture, ' +
        'in levels of 255; means over pairs.'
    : '';
}

/** What the worst of a group is, where there are more pictures than one group. */
function groups(pairs: number): string {
  return pairs > GROUP ? ` The worst of ${GROUP} is the lowest of ${GROUP} pictures, on average over all choices.` : '';
}

function methodTable(comparison: Comparison, summaries: readonly Summary[]): Row[] {
  const rival = titleOf(comparison, comparison.request.against);
  const compared = summaries.some(s => s.behind);
  const many = comparison.request.evaluation.length > GROUP;
  const told = summaries.some(s => s.worstBehind);
  const levels = summaries.some(s => s.levels);
  const head = [
    ...['method', 'forwards', 'PSNR dB', '±', 'worst'],
    ...(many ? [`worst of ${GROUP}`] : []),
    ...['SSIM', ...(levels ? ['pixels off', 'by at most'] : []), 'LPIPS', 'seconds', 'speed-up'],
  ];
  const rows = summaries.map(s => [
    s.title,
    passes(s.forwards),
    decibels(s.psnr.mean),
    reach(s.psnr),
    decibels(s.psnr.worst),
    ...(many ? [decibels(s.worstOfGroup)] : []),
    likeness(s.ssim.mean),
    ...(levels ? levelTexts(s.levels) : []),
    lpipsText(s.lpips),
    s.seconds === undefined ? '–' : seconds(s.seconds),
    s.speedup === undefined ? '–' : times(s.speedup),
    ...(compared ? [s.behind ? `${differenceText(s.behind)}, ${s.losses}/${s.behind.count}` : ''] : []),
    ...(told ? [s.worstBehind ? differenceText(s.worstBehind) : ''] : []),
  ]);
  const behind = [
    ...(compared ? [`${rival} is ahead by, on`] : []),
    ...(told ? [`and on the worst of ${GROUP} by`] : []),
  ];
  return [[...head, ...behind], ...rows];
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

function fewestTable(comparison: Comparison, draw: (rows: readonly Row[]) => string): string {
  const { mean, worst } = USUAL_DEMAND;
  const rows = fewestForwards(comparison).map((few: Fewest) => [few.title, fewestText(few)]);
  const { budgets, evaluation } = comparison.request;
  const worstName = evaluation.length > GROUP ? `worst of ${GROUP}` : 'worst';
  return [
    `Fewest forward passes with mean PSNR ≥ ${mean} dB and ${worstName} ≥ ${worst} dB, of ${budgetsText(budgets)} computed steps`,
    ...(draw === markdown ? [''] : []),
    draw([['method', 'forwards'], ...rows]),
  ].join('\n');
}
