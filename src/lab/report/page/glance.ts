import { GROUP, type Summary } from '../../compare/aggregate';
import { type Comparison, titleOf } from '../../compare/comparison';
import { decibels, passes, shareText, worstTitle } from '../text';
import { fewBudgets } from './few-budgets';
import { html, type Markup, raw } from './html';
import { lookOf } from './palette';

/** What is told of a method at a budget, and how good it is: the larger the better. */
interface Figure {
  readonly head: string;
  readonly text: (summary: Summary) => string;
  readonly worth: (summary: Summary) => number;
}

/** A table to read first: each method at a few budgets, by what a person would ask. All numbers follow further down. */
export function glanceSection(comparison: Comparison, summaries: readonly Summary[]): Markup {
  const { budgets, steps, evaluation } = comparison.request;
  const shown = fewBudgets(budgets);
  const of = (method: string, budget: number): Summary | undefined =>
    summaries.find(s => s.method === method && s.budget === budget);
  const figures: readonly Figure[] = [
    { head: 'below 40 dB', text: s => shareText(s.below40), worth: s => -s.below40.mean },
    { head: 'below 30 dB', text: s => shareText(s.below30), worth: s => -s.below30.mean },
    {
      head: worstTitle(evaluation.length),
      text: s => decibels(s.worstOfGroup.mean),
      worth: s => s.worstOfGroup.mean,
    },
    { head: 'mean, dB', text: s => decibels(s.psnr.mean), worth: s => s.psnr.mean },
  ];
  const best = (figure: Figure, budget: number): number =>
    Math.max(...summaries.filter(s => s.budget === budget).map(figure.worth));
  const methods = comparison.request.methods.filter(method => summaries.some(s => s.method === method));
  methods.sort((a, b) => order(of(b, shown[0] as number)) - order(of(a, shown[0] as number)));
  const rows = methods.map(method => {
    const strong = lookOf(method).strong ? ' class="strong"' : '';
    const cells = shown.map(budget => {
      const s = of(method, budget);
      if (!s) return html`<td class="why" colspan="${figures.length}">not measured</td>`;
      return figures.map((figure, i) => {
        const marked = figure.worth(s) === best(figure, budget) ? ' class="best"' : '';
        const cost = i === 0 && Math.round(s.forwards) !== budget;
        return html`<td${raw(marked)}>${figure.text(s)}${cost ? html`<small>${passes(s.forwards)} passes</small>` : undefined}</td>`;
      });
    });
    return html`<tr${raw(strong)}><th scope="row">${titleOf(comparison, method)}</th>${cells}</tr>`;
  });
  return html`<section id="glance">
<h2>Who keeps the pictures</h2>
<p>How near each method comes to the uncached pictures, in the 8-bit pixels that are written: the share of pictures that
it changes so that it can be seen (below 40 dB), or plainly (below 30 dB), the ${
    evaluation.length > GROUP ? `worst of ${GROUP} pictures` : 'worst picture'
  }, and the average. The best of each is bold; where a method took another number of forward passes than the steps computed,
it is told.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Who keeps the pictures"><table class="numbers">
<thead><tr><th scope="col" rowspan="2">method</th>${shown.map(b => html`<th scope="colgroup" colspan="${figures.length}">${b} of ${steps} steps</th>`)}</tr>
<tr>${shown.map(() => figures.map(({ head }) => html`<th scope="col">${head}</th>`))}</tr></thead>
<tbody>${rows}</tbody></table></div>
</section>`;
}

/** Fewer pictures below 40 dB come first, and of as many the better average. */
function order(summary: Summary | undefined): number {
  return summary ? summary.psnr.mean - 1000 * summary.below40.mean : Number.NEGATIVE_INFINITY;
}
