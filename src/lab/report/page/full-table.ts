import { GROUP, type Spread, type Summary } from '../../compare/aggregate';
import { type Comparison, titleOf } from '../../compare/comparison';
import {
  decibels,
  decibelsWithin,
  differenceText,
  levelTexts,
  likeness,
  passes,
  reach,
  seconds,
  shareText,
  times,
} from '../text';
import { html, type Markup, raw } from './html';
import { lookOf } from './palette';

/** Every number of every method at every budget. */
export function tableSection(comparison: Comparison, summaries: readonly Summary[]): Markup {
  const { budgets, steps, against, evaluation } = comparison.request;
  const rival = titleOf(comparison, against);
  const shows: Shows = {
    compared: summaries.some(s => s.behind),
    groups: evaluation.length > GROUP,
    worstCompared: summaries.some(s => s.worstBehind),
    levels: summaries.some(s => s.levels),
  };
  const heads = [
    ...['method', 'passes', 'below 40 dB', 'below 30 dB', '10 % quantile', 'PSNR, dB', 'std', 'in floats', 'worst'],
    ...(shows.groups ? [`worst of ${GROUP}`] : []),
    ...['SSIM', 'worst', ...(shows.levels ? ['pixels off', 'by at most'] : []), 'LPIPS', 'GFLOP', 's', 'speed-up'],
    ...(shows.compared ? [`${rival} is ahead by, dB`, 'nearer on'] : []),
    ...(shows.worstCompared ? [`on the worst of ${GROUP} by, dB`] : []),
  ];
  const width = heads.length;
  const bodies = budgets.map(budget => {
    const own = summaries.filter(s => s.budget === budget);
    const refused = comparison.refused.filter(r => r.budget === budget);
    if (own.length + refused.length === 0) return undefined;
    const best = own.reduce((a, b) => (b.psnr.mean > a.psnr.mean ? b : a), own[0] as Summary);
    return html`<tbody><tr class="budget"><th colspan="${width}" scope="rowgroup">${budget} of ${steps} steps computed</th></tr>
${own.map(s => summaryRow(s, s === best, shows))}
${refused.map(r => html`<tr><th scope="row">${titleOf(comparison, r.method)}</th><td class="why" colspan="${width - 1}">${r.reason}</td></tr>`)}</tbody>`;
  });
  return html`<section id="numbers">
<h2>All numbers</h2>
<p>Over ${evaluation.length} pairs of a prompt and a seed that nothing was calibrated on, of the 8-bit pixels that are
written; in floats is the mean PSNR before they are rounded. A tenth of the pictures lies below the 10 % quantile. ± and [ ] are 95 % intervals
(Student’s t for means, Wilson’s for shares, a bootstrap’s for the others); the last columns compare with ${rival} on the same pairs. The best mean of a budget is set bold. Speed-up
is the median over single runs, each beside an uncached one${comparison.cells.some(c => c.timing) ? '' : ' (not measured here)'}.${
    shows.groups
      ? html` The worst of ${GROUP} is the lowest of ${GROUP} pictures, on average over all choices; its interval is a
bootstrap’s.`
      : undefined
  }${
    shows.levels
      ? html` Pixels off is the share of 8-bit pixels that differ in any colour, by at most the largest difference of a
picture, in levels of 255; both are means over the pairs.`
      : undefined
  }</p>
<div class="scroll" tabindex="0" role="region" aria-label="All numbers"><table class="numbers">
<thead><tr>${heads.map(h => html`<th scope="col">${h}</th>`)}</tr></thead>
${bodies}</table></div>
</section>`;
}

/** Which columns a table has beyond those that all have. */
interface Shows {
  readonly compared: boolean;
  readonly groups: boolean;
  readonly worstCompared: boolean;
  readonly levels: boolean;
}

function summaryRow(s: Summary, best: boolean, { compared, groups, worstCompared, levels }: Shows): Markup {
  const plusMinus = (spread: Spread, text: (value: number) => string): Markup =>
    html`<td>${text(spread.mean)}<small>${reach(spread)}</small></td>`;
  const strong = lookOf(s.method).strong ? ' class="strong"' : '';
  return html`<tr${raw(strong)}><th scope="row">${s.title}${s.setting ? html`<small>${s.setting}</small>` : undefined}</th>
<td>${passes(s.forwards)}</td><td>${shareText(s.below40, true)}</td><td>${shareText(s.below30, true)}</td><td>${decibelsWithin(s.tenth)}</td>
${best ? html`<td class="best">${decibels(s.psnr.mean)}<small>${reach(s.psnr)}</small></td>` : plusMinus(s.psnr, decibels)}
<td>${Number.isFinite(s.psnr.std) ? s.psnr.std.toFixed(2) : '–'}</td><td>${decibels(s.floatPsnr.mean)}</td><td>${decibels(s.psnr.worst)}</td>${groups ? html`<td>${decibelsWithin(s.worstOfGroup)}</td>` : undefined}
<td>${likeness(s.ssim.mean)}</td><td>${likeness(s.ssim.worst)}</td>
${levels ? levelTexts(s.levels).map(text => html`<td>${text}</td>`) : undefined}
<td>${s.lpips ? s.lpips.mean.toFixed(4) : html`<small>no weights</small>`}</td>
<td>${s.flops === undefined ? '–' : (s.flops / 1e9).toPrecision(3)}</td>
<td>${s.seconds === undefined ? '–' : seconds(s.seconds)}</td><td>${s.speedup === undefined ? '–' : times(s.speedup)}</td>${
    compared
      ? html`<td>${s.behind ? differenceText(s.behind) : ''}</td><td>${s.behind ? `${s.losses} of ${s.behind.count}` : ''}</td>`
      : undefined
  }${worstCompared ? html`<td>${s.worstBehind ? differenceText(s.worstBehind) : ''}</td>` : undefined}</tr>`;
}
