import type { Spread, Summary } from '../aggregate';
import type { Comparison } from '../comparison';
import { listText } from '../text';
import { type ChartSpec, drawChart } from './chart';
import { html, type Markup, raw } from './html';
import { type Look, lookOf } from './palette';

/** A metric as a function of forward passes. */
interface Axis {
  readonly title: string;
  readonly of: (summary: Summary) => Spread;
  /** The metric cannot be larger. */
  readonly most: number;
  /** A level worth a line, and what it means. */
  readonly mark?: { readonly level: number; readonly text: string };
}

const axes: readonly Axis[] = [
  {
    title: 'PSNR, dB (higher is nearer)',
    of: s => s.psnr,
    most: 100,
    mark: { level: 40, text: 'hardly visible' },
  },
  { title: 'SSIM (1 is the same picture)', of: s => s.ssim, most: 1 },
];

/** Fidelity against forward passes, one line a method, with 95 % bands. */
export async function curvesSection(comparison: Comparison, summaries: readonly Summary[]): Promise<Markup> {
  const methods = comparison.request.methods.filter(m => summaries.some(s => s.method === m));
  const looks = new Map(methods.map((method, i) => [method, lookOf(method, i)]));
  const charts = [];
  for (const axis of axes) charts.push(await drawCurves(axis, summaries, looks));
  const names = methods.map(m => comparison.methods.find(d => d.name === m)?.title ?? m);
  return html`<section id="curves">
<h2>Fidelity against forward passes</h2>
<p>Each line is a method, each mark a setting. Higher is nearer to the uncached picture, further left is less work. The
band is the 95 % interval of the mean over the pairs: where bands overlap, do not read too much into the order.</p>
${legend(methods, names, looks)}
<div class="pair">${charts.map(chart => html`<figure>${chart}</figure>`)}</div>
</section>`;
}

function drawCurves(axis: Axis, summaries: readonly Summary[], looks: ReadonlyMap<string, Look>): Promise<Markup> {
  const rows = summaries.map(s => {
    const { mean, low, high } = axis.of(s);
    const known = Number.isFinite(low);
    return {
      method: s.method,
      forwards: s.forwards,
      mean,
      low: known ? low : mean,
      high: known ? Math.min(high, axis.most) : mean,
      strong: looks.get(s.method)?.strong ?? false,
    };
  });
  const methods = [...looks.keys()];
  const range = <K extends keyof Look>(key: K): Look[K][] => [...looks.values()].map(l => l[key]);
  const colour = { field: 'method', type: 'nominal', legend: null, scale: { domain: methods, range: range('colour') } };
  const x = {
    field: 'forwards',
    type: 'quantitative',
    title: 'forward passes a picture',
    scale: { zero: false, nice: true, padding: 8 },
    axis: { grid: false, tickMinStep: 1 },
  };
  const y = { field: 'mean', type: 'quantitative', title: axis.title, scale: { zero: false }, axis: { tickCount: 6 } };
  const weight = (strong: number, other: number) => ({
    condition: { test: 'datum.strong', value: strong },
    value: other,
  });
  const mark = axis.mark;
  const spec = {
    width: 400,
    height: 290,
    data: { values: rows },
    layer: [
      ...(mark
        ? [
            {
              data: { values: [{ level: mark.level }] },
              mark: { type: 'rule', stroke: 'var(--quiet)', strokeDash: [2, 4] },
              encoding: { y: { field: 'level', type: 'quantitative' } },
            },
          ]
        : []),
      {
        mark: { type: 'area', opacity: 0.13, line: false },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color: colour },
      },
      {
        mark: { type: 'line' },
        encoding: {
          x,
          y,
          color: colour,
          strokeWidth: weight(3, 1.6),
          strokeDash: {
            field: 'method',
            type: 'nominal',
            legend: null,
            scale: { domain: methods, range: range('dash') },
          },
        },
      },
      {
        mark: { type: 'point', filled: true, opacity: 1 },
        encoding: {
          x,
          y,
          color: colour,
          size: weight(95, 55),
          shape: { field: 'method', type: 'nominal', legend: null, scale: { domain: methods, range: range('mark') } },
        },
      },
    ],
  };
  const best = [...summaries]
    .sort((a, b) => axis.of(b).mean - axis.of(a).mean)
    .slice(0, 3)
    .map(s => s.title);
  return drawChart(
    spec as ChartSpec,
    `${axis.title} against forward passes; highest: ${listText([...new Set(best)])}.`,
  );
}

/** Names beside how they are drawn; a list of text, so that it wraps and can be searched. */
function legend(methods: readonly string[], names: readonly string[], looks: ReadonlyMap<string, Look>): Markup {
  const items = methods.map((method, i) => {
    const look = looks.get(method) as Look;
    return html`<li${raw(look.strong ? ' class="strong"' : '')}>${sample(look)}${names[i]}</li>`;
  });
  return html`<ul class="legend">${items}</ul>`;
}

const MARKS: Readonly<Record<Look['mark'], string>> = {
  circle: 'M17,2.6a4.4,4.4 0 1 0 .01,0Z',
  square: 'M13,3h8v8h-8Z',
  diamond: 'M17,1.5l5.2,5.5l-5.2,5.5l-5.2,-5.5Z',
  'triangle-up': 'M17,2l5,9h-10Z',
  'triangle-down': 'M17,12l5,-9h-10Z',
  cross: 'M15.4,2.4h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3Z',
};

/** A short piece of a method's line with its mark. */
function sample(look: Look): Markup {
  const dash = look.dash.length > 0 ? ` stroke-dasharray="${look.dash.join(' ')}"` : '';
  return raw(
    `<svg class="sample" viewBox="0 0 34 14" aria-hidden="true" style="color:${look.colour}">` +
      `<path d="M0,7H34" stroke="currentColor" stroke-width="${look.strong ? 3 : 1.8}"${dash}/>` +
      `<path d="${MARKS[look.mark]}" fill="currentColor"/></svg>`,
  );
}
