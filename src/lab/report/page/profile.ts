import { mean } from '../../../metrics/statistics';
import type { Comparison } from '../../compare/comparison';
import { type ChartSpec, drawChart } from './chart';
import { html, type Markup } from './html';

/** How the output's change spreads over pairs at one step. */
export interface ProfileStep {
  readonly step: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly least: number;
  readonly most: number;
}

/** Mean, middle four fifths and extremes over pairs of how much the output changes at each step but the first. */
export function profileOf(changes: readonly (readonly (number | null)[])[]): ProfileStep[] {
  const steps = changes[0]?.length ?? 0;
  return Array.from({ length: steps }, (_, step) => step).flatMap(step => {
    const values = changes.flatMap(pair => pair[step] ?? []).sort((a, b) => a - b);
    if (values.length === 0) return [];
    const at = (share: number): number => values[Math.round(share * (values.length - 1))] as number;
    return [{ step: step + 1, mean: mean(values), low: at(0.1), high: at(0.9), least: at(0), most: at(1) }];
  });
}

/** Shares worth a line, as far as they are reached. */
const TICKS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** The per-step change of the uncached output with its spread over prompts. */
export async function profileSection({ reference, request }: Comparison): Promise<Markup> {
  const profile = profileOf(reference.changes);
  const [least, most] = [Math.min(...profile.map(p => p.least)), Math.max(...profile.map(p => p.most))];
  const x = {
    field: 'step',
    type: 'quantitative',
    title: 'step',
    scale: { domain: [1, request.steps] },
    axis: { grid: false },
  };
  const y = {
    field: 'mean',
    type: 'quantitative',
    title: 'relative change',
    scale: { type: 'log', nice: false, domain: [least, most] },
    axis: { format: '~p', values: TICKS.filter(t => t >= least && t <= most) },
  };
  const band = (low: string, high: string, opacity: number) => ({
    mark: { type: 'area', color: 'var(--vermilion)', opacity },
    encoding: { x, y: { ...y, field: low }, y2: { field: high } },
  });
  const spec = {
    width: 860,
    height: 220,
    data: { values: profile },
    layer: [
      band('least', 'most', 0.12),
      band('low', 'high', 0.2),
      { mark: { type: 'line', color: 'var(--vermilion)', strokeWidth: 2.2 }, encoding: { x, y } },
    ],
  };
  const calm = profile.reduce((a, b) => (b.mean < a.mean ? b : a));
  const wild = profile.reduce((a, b) => (b.mean > a.mean ? b : a));
  const label =
    `Relative change of the output from step to step: least at step ${calm.step} (${percent(calm.mean)}), ` +
    `most at step ${wild.step} (${percent(wild.mean)}).`;
  return html`<section id="profile">
<h2>Where reuse costs least</h2>
<p>How much the model’s output changes at each step of the uncached run, relative to the step before (L1, logarithmic).
Where it changes little, an old output can stand in for a new one. The line is the mean over ${reference.changes.length}
prompts, the inner band holds the middle four fifths of them, the outer band all. A narrow band means that one schedule
can serve every prompt.</p>
<figure class="wide">${await drawChart(spec as ChartSpec, label)}</figure>
</section>`;
}

const percent = (share: number): string => `${(100 * share).toPrecision(2)} %`;
