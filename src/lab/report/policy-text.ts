import type { Affine, Combination } from '../../cache/rectify';
import { FEW_ROWS } from '../../calibration/quality';
import { budgetsOf, computedBy, measuredPsnr } from '../../policy/budget';
import { computedSteps, correctionAt, type Fidelity, type Policy, reusedOf } from '../../policy/data';
import { boundLines } from './bound-text';
import { fidelityText, times } from './text';

/** Columns that the noise axis is drawn on. */
const WIDTH = 60;
const BARS = '▁▂▃▄▅▆▇█';

/** A policy as text: its schedule over the noise level, its corrections, what it was measured at, where it is from. */
export function policyText(policy: Policy): string {
  const { data } = policy;
  const rectify = correctionAt(policy, data.guidance);
  const reused = reusedOf(data.schedule);
  const [steps, computed] = [reused.length, computedSteps(reused)];
  const corrections = rectify.form === 'off' ? [] : rectify.steps;
  const corrected = corrections.map(step => step !== null);
  const rows = data.calibration.rows ?? data.calibration.pairs.length;
  const sizes = corrections.map(step => (step === null ? 0 : correctionSize(step)));
  const { model, search, calibration, measured, bound } = data;
  const lines: [string, string][] = [
    ['policy', data.name],
    ['model', `${model.id}, ${model.class}, ${model.hash.slice(0, 12)}`],
    ['run', `${steps} steps, ${data.scheduler}, guidance ${rangeText(data)}`],
    ['schedule', `${data.schedule}   # computed   . reused`],
    ['', `${computed} of ${steps} steps computed: ${times(steps / computed)} fewer forward passes`],
    ['over σ', overSigma(data.timestep.levels ?? data.sigmas, i => (reused[i] ? '░' : '█'))],
    ['', sigmaScale()],
    ['site', `${data.site}${data.taylor > 0 ? `, extrapolated at strength ${data.taylor}` : ''}`],
    ['timestep', data.timestep.form],
    ...timeLines(data, reused),
    ['rectify', data.rectify.form],
    ...(sizes.length === 0 ? [] : ([['size', bars(sizes, corrected)]] as [string, string][])),
    [
      'found by',
      [
        search.method,
        search.lambda && `λ ${search.lambda.toPrecision(3)}`,
        search.worstWeight !== undefined && rows > FEW_ROWS && `worst eighth weighed ${search.worstWeight}`,
        search.note,
      ]
        .filter(Boolean)
        .join(', '),
    ],
    [
      'from',
      `${calibration.rows === undefined ? `${calibration.pairs.length} pairs` : `${calibration.rows} rows of noise`}, ${calibration.forwards.toLocaleString('en-US')} forward passes`,
    ],
    ['measured', measured.heldOut || measured.calibration ? '' : 'not yet'],
    ...fidelityLines('held out', measured.heldOut),
    ...fidelityLines('calibrated', measured.calibration),
    ...Object.entries(measured.groups ?? {}).flatMap(([group, fidelity]) => fidelityLines(group, fidelity)),
    ...(bound ? boundLines(bound).map((line, i): [string, string] => [i === 0 ? 'bound' : '', line]) : []),
    ...(calibration.gap
      ? ([['seen', `guidance gap from ${percent(calibration.gap.from)} to ${percent(calibration.gap.to)}`]] as [
          string,
          string,
        ][])
      : []),
  ];
  const text = lines.map(([key, value]) => `${key.padEnd(13)}${value}`.trimEnd());
  return [...text, ...(policy.budgets ? budgetLines(policy) : [])].join('\n');
}

/** How the times of steps are moved. */
function timeLines(
  { timestep: { form, phi, levels } }: Policy['data'],
  reused: readonly boolean[],
): [string, string][] {
  if (form === 'off') return [];
  if (form !== 'levels') return [['φ', bars(phi, reused, 1)]];
  const computed = (levels ?? []).filter((_, i) => reused[i] === false);
  return [['computed at', `σ = ${computed.map(level => level.toFixed(3)).join('  ')}`]];
}

/** Columns that the fidelity of budgets is drawn on. */
const CURVE = 30;

/** Fidelity against forward passes: a line for every budget of a policy, and what the shortest and the longest bar stand for. */
export function budgetLines(policy: Policy): string[] {
  const all = budgetsOf(policy).map(each => ({ each, psnr: measuredPsnr(each) }));
  const known = all.flatMap(({ psnr }) => psnr ?? []);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const scale = high > low ? `bars from ${low.toFixed(1)} to ${high.toFixed(1)} dB` : '';
  const lines = all.map(({ each, psnr }) => {
    const filled = psnr === undefined ? 0 : 1 + Math.round(((CURVE - 1) * (psnr - low)) / Math.max(1e-9, high - low));
    const figure = psnr === undefined ? '' : `${psnr.toFixed(1).padStart(5)} dB  `;
    return `  ${String(computedBy(each)).padStart(3)}  ${figure}${'█'.repeat(filled).padEnd(known.length > 0 ? CURVE : 0)}  ${each.data.schedule}`;
  });
  return [`${'budgets'.padEnd(13)}${scale}`.trimEnd(), ...lines];
}

/** The guidance of a policy, or the range that it serves. */
const rangeText = ({ guidance, guidanceRange: range }: Policy['data']): string =>
  range ? `from ${range.from} to ${range.to}` : String(guidance);

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** One character for every equal part of the noise level from 1 to 0. */
function overSigma(sigmas: readonly number[], draw: (step: number) => string): string {
  return Array.from({ length: WIDTH }, (_, column) => {
    const sigma = 1 - (column + 0.5) / WIDTH;
    const after = sigmas.findIndex(s => s <= sigma);
    return draw(Math.max(0, after - 1));
  }).join('');
}

function sigmaScale(): string {
  return `σ = 1${'σ = 0'.padStart(WIDTH - 5)}`;
}

/** A bar for every step that has one, and what the tallest stands for. */
function bars(values: readonly number[], has: readonly boolean[], most?: number): string {
  const top = most ?? Math.max(...values, Number.MIN_VALUE);
  const drawn = values.map((value, i) => {
    if (!has[i]) return ' ';
    return BARS[Math.min(BARS.length - 1, Math.floor((value / top) * BARS.length))];
  });
  return `${drawn.join('')}   █ = ${Number(top.toPrecision(2))}`;
}

/** How far a step's correction is from leaving its output as it is. */
export function correctionSize(step: Affine | Combination): number {
  if ('K' in step) {
    const { K, B } = step as Affine;
    return Math.max(...K.map((k, c) => Math.abs(k / 4) + Math.abs((B[c] as number) / 4 + 0.5)));
  }
  // The parts of age 0 are the step's own output; where plain reuse makes it the last one again, that has age 1.
  // Guidance puts them together with weights whose sum is 1.
  const terms = Object.entries(step as Combination);
  const own = terms.some(([name]) => name.endsWith('.0')) ? '.0' : '.1';
  const isOwn = ([name]: [string, number]): boolean => name.endsWith(own);
  const kept = terms.filter(isOwn).reduce((sum, [, weight]) => sum + weight, 0);
  const added = terms.filter(term => !isOwn(term)).reduce((sum, [, weight]) => sum + Math.abs(weight), 0);
  return Math.abs(kept - 1) + added;
}

function fidelityLines(name: string, fidelity: Fidelity | undefined): [string, string][] {
  return fidelity ? [[`  ${name}`, fidelityText(fidelity)]] : [];
}
