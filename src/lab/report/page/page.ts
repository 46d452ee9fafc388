import { type Summary, summarise } from '../../compare/aggregate';
import type { Comparison } from '../../compare/comparison';
import { PAGE_MARK } from '../../compare/own-files';
import { budgetsText, verdict } from '../text';
import { aboutSection, methodsSection } from './about';
import { curvesSection } from './curves';
import { fewBudgets } from './few-budgets';
import { fewestSection } from './fewest';
import { tableSection } from './full-table';
import { gainsSection } from './gains';
import { glanceSection } from './glance';
import { html, type Markup, raw } from './html';
import { picturesSection } from './pictures';
import { profileSection } from './profile';
import { stripsSection } from './strips';
import { STYLE } from './style';

/**
 * A comparison as one HTML page that needs nothing else: pictures, charts and style are in it.
 * @param pathOf where a file of the comparison lies; without it the page has no pictures
 */
export async function renderPage(comparison: Comparison, pathOf?: (name: string) => string): Promise<string> {
  const summaries = summarise(comparison);
  const ablation = comparison.request.kind === 'ablation';
  const title = titleText(comparison);
  const sections = [
    ...(ablation ? [] : [glanceSection(comparison, summaries)]),
    ablation ? await gainsSection(comparison, summaries) : await curvesSection(comparison, summaries),
    ...(ablation ? [] : [fewestSection(comparison)]),
    stripsSection(comparison, summaries),
    ...(pathOf ? [await picturesSection(comparison, summaries, pathOf)] : []),
    await profileSection(comparison),
    tableSection(comparison, summaries),
    methodsSection(comparison),
    aboutSection(comparison),
  ];
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
${raw(PAGE_MARK)}
<title>${title} · ertacache</title>
<style>${raw(STYLE)}</style>
</head>
<body>
${headerOf(comparison, summaries, title)}
<main>
${sections}
</main>
<footer>Made by ertacache ${comparison.versions.ertacache}. The numbers behind this page are in comparison.json beside it.</footer>
</body>
</html>
`;
  return page.markup;
}

function titleText({ request }: Comparison): string {
  if (request.kind === 'ablation') return `Which parts of ERTACache help ${request.model.id}?`;
  return `How many of ${request.steps} steps does ${request.model.id} need?`;
}

const LINKS: readonly (readonly [id: string, text: string])[] = [
  ['fewest', 'How few passes'],
  ['schedules', 'Schedules'],
  ['pictures', 'Pictures'],
  ['profile', 'Where reuse is cheap'],
  ['numbers', 'All numbers'],
  ['methods', 'Methods'],
  ['about', 'How it was measured'],
];

function headerOf(comparison: Comparison, summaries: readonly Summary[], title: string): Markup {
  const { request, state } = comparison;
  const { steps, evaluation, guidance, model, kind, budgets } = request;
  const first: typeof LINKS =
    kind === 'ablation'
      ? [['gains', 'Gains']]
      : [
          ['glance', 'Who keeps what'],
          ['curves', 'Curves'],
        ];
  const links: typeof LINKS = [...first, ...LINKS];
  const shown = kind === 'ablation' ? links.filter(([id]) => id !== 'fewest') : links;
  return html`<header>
<p class="over">ertacache compare · ${model.id} · guidance ${guidance}</p>
<h1>${title}</h1>
<p class="lede">A diffusion model paints a picture in ${steps} small steps from noise, and every step runs a whole neural
network. Neighbouring steps do nearly the same work, so a cache may run the network at some of them only and rebuild the
others from what it has kept. This page compares ways to do that when ${budgetsText(budgets)} of ${steps} steps are computed:
how near does each come to the picture that all ${steps} steps would have painted, over ${evaluation.length} prompts?</p>
<p>Nearness is given as PSNR in decibels. At 40 dB a difference can hardly be seen, beyond 50 dB it cannot, and every 6 dB
halve it.</p>
${state === 'complete' ? undefined : html`<p class="notice">The comparison is not complete: this page shows what has been measured so far.</p>`}
${kind === 'ablation' ? undefined : html`<ul class="tiles">${fewBudgets(budgets).map(b => tile(comparison, summaries, b))}</ul>`}
<nav aria-label="Sections">${shown.map(([id, text]) => html`<a href="#${id}">${text}</a>`)}</nav>
</header>`;
}

/** One budget in a nutshell. */
function tile(comparison: Comparison, summaries: readonly Summary[], budget: number): Markup | undefined {
  const found = verdict(comparison, summaries, budget);
  if (!found) return undefined;
  const { shown, text } = found;
  return html`<li><span class="what">${shown.title}, ${budget} of ${comparison.request.steps} steps</span>
<b>${shown.psnr.mean.toFixed(1)} <small>dB</small></b><p>${text}</p></li>`;
}
