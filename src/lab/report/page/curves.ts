import type { Spread, Summary } from '../../compare/aggregate';
import type { Comparison } from '../../compare/comparison';
import { listText } from '../text';
import { type ChartSpec, drawChart } from './chart';
import { html, type Markup } from './html';
import { legend } from './legend';
import { type Look, lookOf } from './palette';

/** A metric as a function of forward passes. */
interface Axis {
  readonly title: string;
  readonly of: (summary: Summary) => Spread;
  /** Where a value is drawn, and what is written there. */
  readonly place: (value: number) => number;
  readonly labels: { readonly labelExpr?: string; readonly tickMinStep?: number };
  /** A level worth a line. */
  readonly mark?: number;
}

/** SSIM is told apart by its nines; a mean this near to 1 is drawn as if it were no nearer. */
const NEAREST = 1e-6;

const axes: readonly Axis[] = [
  { title: 'PSNR of 8-bit pixels, dB', of: s => s.psnr, place: value => Math.min(value, 100), labels: {}, mark: 40 },
  {
    title: 'SSIM (1 is the same picture)',
    of: s => s.ssim,
    place: value => -Math.log10(Math.max(1 - value, NEAREST)),
    labels: {
      labelExpr: "format(1 - pow(10, -datum.value), datum.value % 1 === 0 ? '.6~f' : '.4~f')",
      tickMinStep: 0.25,
    },
  },
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
band is the 95 % interval of the mean over the pairs: where bands overlap, do not read too much into the order. The dotted
line is at 40 dB, where differences can hardly be seen.</p>
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
      mean: axis.place(mean),
      low: axis.place(known ? low : mean),
      high: axis.place(known ? high : mean),
      strong: looks.get(s.method)?.strong ?? false,
    };
  });
  const [lowest, highest] = [Math.min(...rows.map(r => r.low)), Math.max(...rows.map(r => r.high))];
  const margin = 0.04 * (highest - lowest) || 1;
  const domain = [lowest - margin, highest + margin];
  const methods = [...looks.keys()];
  const range = (key: keyof Look): unknown[] => [...looks.values()].map(l => l[key]);
  const x = {
    field: 'forwards',
    type: 'quantitative',
    title: 'forward passes a picture',
    scale: { zero: false, nice: true, padding: 8 },
    axis: { grid: false, tickMinStep: 1 },
  };
  const y = {
    field: 'mean',
    type: 'quantitative',
    title: axis.title,
    scale: { domain, nice: false },
    axis: { tickCount: 6, minExtent: 44, ...axis.labels },
  };
  const byMethod = (key: keyof Look) => ({
    field: 'method',
    type: 'nominal',
    legend: null,
    scale: { domain: methods, range: range(key) },
  });
  const heavier = (strong: number, other: number) => ({
    condition: { test: 'datum.strong', value: strong },
    value: other,
  });
  const color = byMethod('colour');
  const spec = {
    width: 420,
    height: 340,
    data: { values: rows },
    layer: [
      ...levelLine(axis.mark, y),
      {
        mark: { type: 'area', clip: true },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color, fillOpacity: heavier(0.17, 0.04) },
      },
      {
        mark: { type: 'line', clip: true },
        encoding: { x, y, color, strokeWidth: heavier(3.2, 1.7), strokeDash: byMethod('dash') },
      },
      {
        mark: { type: 'point', filled: true, opacity: 1 },
        encoding: { x, y, color, size: heavier(105, 60), shape: byMethod('mark') },
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

/** A dotted line at a level that means something. */
function levelLine(level: number | undefined, y: object): object[] {
  if (level === undefined) return [];
  const mark = { type: 'rule', stroke: 'var(--quiet)', strokeDash: [2, 4], clip: true };
  return [{ data: { values: [{ mean: level }] }, mark, encoding: { y } }];
}
