import type { Interval } from '../../metrics/statistics';
import type { Fidelity } from '../../policy/data';
import { type Fewest, GROUP, reversed, type Spread, type Summary } from '../compare/aggregate';
import { type Comparison, cellOf } from '../compare/comparison';

/** Numbers as the report writes them, in the terminal and on the page. */
export const decibels = (value: number): string => value.toFixed(value < 99.95 ? 2 : 1);
export const likeness = (value: number): string => value.toFixed(4);
export const passes = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));
export const times = (value: number): string => `${value.toFixed(2)}×`;
export const seconds = (value: number): string => value.toFixed(value < 10 ? 2 : 1);

/** A difference with its sign, and a minus that is as wide as a plus. */
export function signed(value: number, digits = 2): string {
  const text = Math.abs(value).toFixed(digits);
  return `${value < 0 ? '−' : '+'}${text}`;
}

/** Half the width of an interval; nothing is known about it from a single value. */
export function reach({ mean, high }: Interval): string {
  return Number.isFinite(high) ? `±${(high - mean).toFixed(2)}` : '';
}

/** `+2.1 [+1.4, +2.8]` */
export function differenceText({ mean, low, high }: Interval): string {
  return Number.isFinite(low) ? `${signed(mean)} [${signed(low)}, ${signed(high)}]` : signed(mean);
}

/** LPIPS, where it was computed. */
export function lpipsText(lpips: Spread | undefined): string {
  return lpips ? lpips.mean.toFixed(4) : '–';
}

/** `3.1 %`, and the ends of its interval where asked for: `3.1 % [1.6, 6.0]` */
export function shareText({ mean, low, high }: Interval, ends = false): string {
  const percent = (share: number): string => (100 * share).toFixed(1);
  return `${percent(mean)} %${ends ? ` [${percent(low)}, ${percent(high)}]` : ''}`;
}

/** Decibels with the ends of their interval, where it has any: `43.2 [41.0, 45.1]` */
export function decibelsWithin({ mean, low, high }: Interval): string {
  return Number.isFinite(low) ? `${decibels(mean)} [${low.toFixed(1)}, ${high.toFixed(1)}]` : decibels(mean);
}

/** The worst of all pictures, or of a group of them where there are more. */
export const worstTitle = (pictures: number): string => (pictures > GROUP ? `worst of ${GROUP}` : 'worst');

/** The share of 8-bit pixels that differ, and the largest difference, in the mean over pictures. */
export function levelTexts(levels: Summary['levels']): [share: string, largest: string] {
  if (!levels) return ['–', '–'];
  return [`${(100 * levels.differing.mean).toFixed(1)} %`, levels.largest.mean.toFixed(1)];
}

/** What of a method's run is rebuilt and what that leaves, for a table. */
export function fewestText({ met }: Fewest): string {
  return met ? passes(met.forwards) : 'none of those measured';
}

/** What a policy keeps over some pairs: who keeps what first, where that is told. */
export function fidelityText({ pairs, psnr, floatPsnr, quantiles, below40, below30, ssim }: Fidelity): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const told = quantiles && below40 !== undefined && below30 !== undefined;
  return [
    ...(told ? [`${percent(below40)} below 40 dB, ${percent(below30)} below 30 dB`] : []),
    ...(told ? [`10 % quantile ${decibels(quantiles.tenth)} dB`] : []),
    `PSNR ${decibels(psnr.mean)} dB (worst ${decibels(psnr.min)}${floatPsnr ? `; in floats ${decibels(floatPsnr.mean)}` : '; in floats'})`,
    `SSIM ${likeness(ssim.mean)}`,
    `${pairs} pairs`,
  ].join(', ');
}

/** `a, b and c` */
export function listText(items: readonly (string | number)[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Budgets in words: each, or from the least to the most where they are many. */
export function budgetsText(budgets: readonly number[]): string {
  return budgets.length <= 4 ? listText(budgets) : `${Math.min(...budgets)} to ${Math.max(...budgets)}`;
}

/** How the method of interest does at a budget, or the best one where that was not measured. */
export interface Verdict {
  readonly shown: Summary;
  /** Its worst picture, and who is next or ahead, by how much, on how many pairs. */
  readonly text: string;
}

export function verdict(comparison: Comparison, summaries: readonly Summary[], budget: number): Verdict | undefined {
  const { against } = comparison.request;
  const [first, second] = ranked(summaries, budget);
  if (!first) return undefined;
  const shown = ranked(summaries, budget).find(s => s.method === against) ?? first;
  const worst = worstText(shown, ranked(summaries, budget));
  if (shown.method !== against || !second) return { shown, text: worst };
  if (shown !== first) {
    const [ahead, behind] = [first.method, against].map(method => cellOf(comparison, method, budget)?.pairs ?? []);
    // Not all that the other one does not win: of pictures that are alike to the last pixel neither is nearer.
    const nearer = (ahead ?? []).filter(({ psnr }, i) => psnr > (behind?.[i]?.psnr ?? psnr)).length;
    const gap = reversed(first.behind as Interval);
    return {
      shown,
      text: `${worst} ${first.title} is ahead of it by ${plainGap(gap)}, and nearer on ${nearer} of ${gap.count} pictures.`,
    };
  }
  const gap = second.behind as Interval;
  return {
    shown,
    text: `${worst} It is ahead of the next best, ${second.title}, by ${plainGap(gap)}, and nearer on ${second.losses} of ${gap.count} pictures.`,
  };
}

/** What a method keeps on its worst picture, or the worst of a group, and which keeps most there if it is another. */
function worstText(shown: Summary, all: readonly Summary[]): string {
  const own = `On ${worstName(shown)} it keeps ${shown.worstOfGroup.mean.toFixed(1)} dB`;
  const steadiest = all.reduce((best, s) => (s.worstOfGroup.mean > best.worstOfGroup.mean ? s : best));
  if (steadiest.worstOfGroup.mean <= shown.worstOfGroup.mean) return `${own}.`;
  return `${own}; ${steadiest.title} keeps ${steadiest.worstOfGroup.mean.toFixed(1)} dB on its own.`;
}

function worstName({ psnr }: Summary): string {
  return psnr.count > GROUP ? `the worst of ${GROUP} pictures` : 'its worst picture';
}

/** The methods of a budget, the best mean first. */
function ranked(summaries: readonly Summary[], budget: number): Summary[] {
  return summaries.filter(s => s.budget === budget).sort((a, b) => b.psnr.mean - a.psnr.mean);
}

/** `9.1 dB (6.1 to 12.1 at 95 % confidence)`, and a word of caution where the sign is not sure. */
function plainGap({ mean, low, high }: Interval): string {
  if (!Number.isFinite(low)) return `${plain(mean)} dB`;
  const chance = low < 0 && high > 0 ? ', so it may be chance' : '';
  return `${plain(mean)} dB (${plain(low)} to ${plain(high)} at 95 % confidence${chance})`;
}

const plain = (value: number): string => `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(1)}`;
