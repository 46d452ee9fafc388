import { GROUP, type Summary } from '../../compare/aggregate';
import { type Comparison, titleOf } from '../../compare/comparison';
import { decibels, levelTexts, passes } from '../text';
import { fewBudgets } from './few-budgets';
import { html, type Markup, raw } from './html';
import { lookOf } from './palette';

/** A table to read first: each method at a few budgets, by what a person would ask. All numbers follow further down. */
export function glanceSection(comparison: Comparison, summaries: readonly Summary[]): Markup {
  const { budgets, steps, evaluation } = comparison.request;
  const shown = fewBudgets(budgets);
  const of = (method: string, budget: number): Summary | undefined =>
    summaries.find(s => s.method === method && s.budget === budget);
  const best = new Map(
    shown.map(budget => [budget, Math.max(...summaries.filter(s => s.budget === budget).map(s => s.psnr.mean))]),
  );
  const levels = summaries.some(s => s.levels);
  const quality = (method: string): number => of(method, shown[0] as number)?.psnr.mean ?? Number.NEGATIVE_INFINITY;
  const methods = [...comparison.request.methods]
    .filter(method => summaries.some(s => s.method === method))
    .sort((a, b) => quality(b) - quality(a));
  const heads = [
    'mean, dB',
    evaluation.length > GROUP ? `worst of ${GROUP}` : 'worst',
    ...(levels ? ['pixels off'] : []),
  ];
  const rows = methods.map(method => {
    const strong = lookOf(method).strong ? ' class="strong"' : '';
    const cells = shown.map(budget => {
      const s = of(method, budget);
      if (!s) return html`<td class="why" colspan="${heads.length}">not measured</td>`;
      const mean = html`${decibels(s.psnr.mean)}${Math.round(s.forwards) === budget ? undefined : html`<small>${passes(s.forwards)} passes</small>`}`;
      return html`<td${raw(s.psnr.mean === best.get(budget) ? ' class="best"' : '')}>${mean}</td><td>${decibels(s.worstOfGroup)}</td>${
        levels ? html`<td>${levelTexts(s.levels)[0]}</td>` : undefined
      }`;
    });
    return html`<tr${raw(strong)}><th scope="row">${titleOf(comparison, method)}</th>${cells}</tr>`;
  });
  return html`<section id="glance">
<h2>At a glance</h2>
<p>How near each method comes to the uncached pictures: on average and on the worst of ${
    evaluation.length > GROUP ? `${GROUP} pictures` : 'them'
  }, in decibels${levels ? ', and how many pixels of the written files differ at all' : ''}. The best average is bold; where a
method took another number of forward passes than the steps computed, it is told.</p>
<div class="scroll" tabindex="0" role="region" aria-label="At a glance"><table class="numbers">
<thead><tr><th scope="col" rowspan="2">method</th>${shown.map(b => html`<th scope="colgroup" colspan="${heads.length}">${b} of ${steps} steps</th>`)}</tr>
<tr>${shown.map(() => heads.map(h => html`<th scope="col">${h}</th>`))}</tr></thead>
<tbody>${rows}</tbody></table></div>
</section>`;
}
