import type { Summary } from '../../compare/aggregate';
import { type Cell, type Comparison, cellOf } from '../../compare/comparison';
import { cellName, differenceName, pictureName, REFERENCE } from '../../compare/names';
import { decibels } from '../text';
import { type Embedded, embedHeat, embedPicture, HEAT } from './embed';
import { fewBudgets } from './few-budgets';
import { html, type Markup, raw } from './html';

/** Rows of pictures that a budget shows. */
const ROWS = 6;

/** Pictures side by side with where they differ, the worst pairs first. */
export async function picturesSection(
  comparison: Comparison,
  summaries: readonly Summary[],
  pathOf: (name: string) => string,
): Promise<Markup> {
  const { steps, against } = comparison.request;
  const budgets = fewBudgets(comparison.request.budgets);
  const judge = comparison.methods.find(m => m.name === against)?.title ?? against;
  const tables = [];
  for (const budget of budgets) {
    const own = judgeFirst(
      comparison,
      summaries.filter(s => s.budget === budget),
    );
    if (own.length === 0) continue;
    const worst = worstPairs(comparison, own, budget).slice(0, ROWS);
    const rows = [];
    for (const pair of worst) rows.push(await pictureRow(comparison, own, pair, pathOf));
    const heads = own.map(s => html`<th scope="col">${s.title}</th>`);
    tables.push(html`<details${raw(budget === budgets[Math.floor((budgets.length - 1) / 2)] ? ' open' : '')}>
<summary>${budget} of ${steps} steps computed</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Pictures at ${budget} computed steps"><table class="pictures">
<thead><tr><th scope="col">prompt</th><th scope="col">uncached</th>${heads}</tr></thead>
<tbody>${rows}</tbody></table></div></details>`);
  }
  const stops = HEAT.map(rgb => `rgb(${rgb.join(' ')})`).join(', ');
  return html`<section id="pictures">
<h2>Pictures, worst first</h2>
<p>The prompts on which ${judge} strays furthest come first. Under each picture is where it differs from the uncached one
(the same prompt, the same seed), and its PSNR in dB.</p>
<div class="heat-legend">difference, as a part of the whole range of a colour
<span><i style="background:linear-gradient(90deg, ${raw(stops)})"></i><b>1/1000</b><b>1/100</b><b>1/10</b><b>all</b></span></div>
${tables}
</section>`;
}

/** The method of interest beside the uncached picture, then the others. */
function judgeFirst({ request }: Comparison, own: readonly Summary[]): Summary[] {
  return [...own].sort((a, b) => Number(b.method === request.against) - Number(a.method === request.against));
}

/** Pairs by how far the method that others are compared with strays, or all methods where it is absent. */
function worstPairs(comparison: Comparison, own: readonly Summary[], budget: number): number[] {
  const judges = own.filter(s => s.method === comparison.request.against);
  const cells = (judges.length > 0 ? judges : own).map(s => cellOf(comparison, s.method, budget) as Cell);
  const psnr = (pair: number): number => Math.min(...cells.map(c => c.pairs[pair]?.psnr ?? Number.POSITIVE_INFINITY));
  return comparison.request.evaluation.map((_, i) => i).sort((a, b) => psnr(a) - psnr(b));
}

async function pictureRow(
  comparison: Comparison,
  own: readonly Summary[],
  pair: number,
  pathOf: (name: string) => string,
): Promise<Markup> {
  const { prompt, seed } = comparison.request.evaluation[pair] as { prompt: string; seed: number };
  const reference = await embedPicture(pathOf(pictureName(REFERENCE, pair)));
  const cells = [];
  for (const { method, title, budget } of own) {
    const name = cellName(method, budget);
    const { psnr } = (cellOf(comparison, method, budget) as Cell).pairs[pair] as { psnr: number };
    const picture = await embedPicture(pathOf(pictureName(name, pair)));
    const heat = await embedHeat(pathOf(differenceName(name, pair)));
    cells.push(
      html`<td>${shown(picture, `${prompt}, drawn with ${title}`)}${shown(
        heat,
        `where ${title} differs from the uncached picture of ${prompt}`,
      )}<span>${decibels(psnr)}</span></td>`,
    );
  }
  return html`<tr><th scope="row">${prompt}<small>seed ${seed}</small></th>
<td>${shown(reference, `${prompt}, every step computed`)}</td>${cells}</tr>`;
}

function shown({ uri, width, height }: Embedded, alt: string): Markup {
  return html`<img src="${uri}" width="${width}" height="${height}" alt="${alt}">`;
}
