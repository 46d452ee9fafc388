import type { Summary } from '../../compare/aggregate';
import { type Cell, type Comparison, cellOf } from '../../compare/comparison';
import { passes } from '../text';
import { fewBudgets } from './few-budgets';
import { html, type Markup, raw } from './html';
import { lookOf } from './palette';

/** A computed step on the time axis: where it lies, how long a base step is there, how many pairs computed it. */
interface Mark {
  readonly at: number;
  readonly share: number;
}

/** Which steps each method computed, one strip for every method and budget. */
export function stripsSection(comparison: Comparison, summaries: readonly Summary[]): Markup {
  const { budgets, steps } = comparison.request;
  return html`<section id="schedules">
<h2>Which steps were computed</h2>
<p>Every strip is one run from pure noise (left) to the finished picture (right). A filled box is a step at which the
model ran; between them a method rebuilds, predicts or takes one long step. Methods that decide anew for every picture
are drawn paler where only some pictures ran the step.</p>
${fewBudgets(budgets).map(budget => {
  const own = summaries.filter(s => s.budget === budget);
  if (own.length === 0) return undefined;
  return html`<h3>${budget} of ${steps} steps computed</h3>
<div class="strips"><div class="strip head" aria-hidden="true"><span class="name"></span>
<span class="scale"><span>noise</span><span>picture</span></span><span class="count">passes</span></div>
${own.map(s => stripRow(comparison, s))}</div>`;
})}
</section>`;
}

function stripRow(comparison: Comparison, summary: Summary): Markup {
  const cell = cellOf(comparison, summary.method, summary.budget) as Cell;
  const { steps, methods } = comparison.request;
  const marks = marksOf(cell, comparison.reference.sigmas);
  const look = lookOf(summary.method, methods.indexOf(summary.method));
  const boxes = marks.map(({ at, share }) => {
    const opacity = share < 1 ? ` opacity="${(0.15 + 0.85 * share).toFixed(2)}"` : '';
    return `<rect x="${(at + 0.08).toFixed(3)}" width="0.84" height="1"${opacity}/>`;
  });
  const text = `${summary.title}: ran the model at ${passes(summary.computed)} of ${steps} steps`;
  return html`<div class="strip${raw(look.strong ? ' strong' : '')}"><span class="name">${summary.title}</span>${raw(
    `<svg viewBox="0 0 ${steps} 1" preserveAspectRatio="none" role="img" aria-label="${text.replaceAll('"', '&quot;')}" ` +
      `style="color:${look.colour}"><rect class="ground" width="${steps}" height="1"/>${boxes.join('')}</svg>`,
  )}<span class="count">${passes(summary.forwards)}</span></div>`;
}

/** The computed steps of a cell as places on the base schedule, with the share of pairs that computed each. */
export function marksOf({ pairs, sigmas }: Cell, base: readonly number[]): Mark[] {
  return sigmas.slice(0, -1).flatMap((sigma, i) => {
    const share = pairs.filter(p => p.schedule[i] === '#').length / pairs.length;
    return share > 0 ? [{ at: placeOf(sigma, base), share }] : [];
  });
}

/** Where a noise level lies on the base schedule, in steps. */
export function placeOf(sigma: number, base: readonly number[]): number {
  const after = base.findIndex(s => s <= sigma + 1e-9);
  if (after <= 0) return after === 0 ? 0 : base.length - 1;
  const [from, to] = [base[after - 1] as number, base[after] as number];
  return after - 1 + (from - sigma) / (from - to);
}
