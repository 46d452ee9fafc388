import { fewestForwards, GROUP, USUAL_DEMAND } from '../../compare/aggregate';
import type { Comparison } from '../../compare/comparison';
import { budgetsText, decibels, passes } from '../text';
import { html, type Markup, raw } from './html';
import { lookOf } from './palette';

/** For each method, the smallest of the measured settings that keeps the pictures, as bars. */
export function fewestSection(comparison: Comparison): Markup {
  const { steps, budgets, methods, evaluation } = comparison.request;
  const { mean, worst } = USUAL_DEMAND;
  const worstName = evaluation.length > GROUP ? `the worst of ${GROUP} pictures` : 'its worst picture';
  const never = Number.POSITIVE_INFINITY;
  const found = fewestForwards(comparison).sort((a, b) => (a.met?.forwards ?? never) - (b.met?.forwards ?? never));
  const least = found[0]?.met?.forwards;
  const rows = found.map(({ method, title, met }) => {
    const look = lookOf(method, methods.indexOf(method));
    const share = met ? (100 * met.forwards) / steps : 0;
    const count = met
      ? html`<b>${passes(met.forwards)}</b> <small>${decibels(met.psnr.mean)} dB, worst ${decibels(met.worstOfGroup.mean)}</small>`
      : html`<em>more than measured here</em>`;
    return html`<div class="bar${raw(met && met.forwards === least ? ' strong' : '')}"><span class="name">${title}</span>
<span class="track"><i style="width:${share.toFixed(1)}%;background:${raw(look.colour)}"></i></span>
<span class="count">${count}</span></div>`;
  });
  return html`<section id="fewest">
<h2>How few forward passes</h2>
<p>The smallest setting with which a method keeps at least ${mean} dB on average and ${worst} dB on ${worstName}, of
those measured (${budgetsText(budgets)} of ${steps} steps computed). The track is the whole uncached run.</p>
<div class="bars">${rows}</div>
</section>`;
}
