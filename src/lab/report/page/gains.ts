import { reversed, type Summary } from '../../compare/aggregate';
import { type Comparison, titleOf } from '../../compare/comparison';
import { signed } from '../text';
import { type ChartSpec, drawChart } from './chart';
import { html, type Markup } from './html';

/** What each row of an ablation gains over uniform reuse, with its interval. */
export async function gainsSection(comparison: Comparison, summaries: readonly Summary[]): Promise<Markup> {
  const { against, budgets, steps } = comparison.request;
  const charts = [];
  for (const budget of budgets) {
    const rows = summaries.flatMap(s => {
      if (s.budget !== budget || !s.behind) return [];
      const { mean, low, high } = reversed(s.behind);
      const known = Number.isFinite(low);
      return [{ title: s.title, mean, low: known ? low : mean, high: known ? high : mean, text: signed(mean, 1) }];
    });
    if (rows.length > 0)
      charts.push(html`<h3>${budget} of ${steps} steps computed</h3>
<figure class="wide">${await drawGains(rows, budget)}</figure>`);
  }
  return html`<section id="gains">
<h2>What each part adds</h2>
<p>PSNR gained over “${titleOf(comparison, against)}” on the same pairs, in dB, with 95 % intervals. Left of the line a
part makes things worse.</p>
${charts}
</section>`;
}

function drawGains(rows: readonly { title: string; mean: number }[], budget: number): Promise<Markup> {
  const y = {
    field: 'title',
    type: 'nominal',
    sort: null,
    title: null,
    axis: { labelLimit: 360, grid: true, tickSize: 0 },
  };
  const x = { field: 'mean', type: 'quantitative', title: 'dB gained over uniform reuse', axis: { tickCount: 8 } };
  const spec = {
    width: 520,
    height: { step: 20 },
    data: { values: rows },
    layer: [
      {
        data: { values: [{ zero: 0 }] },
        mark: { type: 'rule', stroke: 'var(--quiet)' },
        encoding: { x: { field: 'zero', type: 'quantitative' } },
      },
      {
        mark: { type: 'rule', stroke: 'var(--vermilion)', strokeWidth: 2 },
        encoding: { y, x: { ...x, field: 'low' }, x2: { field: 'high' } },
      },
      { mark: { type: 'point', filled: true, opacity: 1, size: 70, fill: 'var(--vermilion)' }, encoding: { y, x } },
    ],
  };
  const best = rows.reduce((a, b) => (b.mean > a.mean ? b : a));
  return drawChart(spec as ChartSpec, `Gain over uniform reuse at ${budget} computed steps; most: ${best.title}.`);
}
