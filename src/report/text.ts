import type { Interval } from '../metrics/statistics';
import { type Fewest, reversed, type Spread, type Summary } from './aggregate';
import type { Comparison } from './comparison';

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

/** Floating-point operations as people say them: `12.3 GFLOP`. */
export function flopsText(flops: number): string {
  const [unit, prefix] = flops >= 1e12 ? [1e12, 'T'] : flops >= 1e9 ? [1e9, 'G'] : [1e6, 'M'];
  return `${(flops / unit).toPrecision(3)} ${prefix}FLOP`;
}

/** LPIPS, or why there is none. */
export function lpipsText(lpips: Spread | undefined): string {
  return lpips ? lpips.mean.toFixed(4) : 'no weights';
}

/** What of a method's run is rebuilt and what that leaves, for a table. */
export function fewestText({ met }: Fewest): string {
  return met ? passes(met.forwards) : 'none of those measured';
}

/** `a, b and c` */
export function listText(items: readonly (string | number)[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Who leads at a budget, by how much, and on how many pairs. */
export function verdict(comparison: Comparison, summaries: readonly Summary[], budget: number): string {
  const { steps, against } = comparison.request;
  const at = summaries.filter(s => s.budget === budget).sort((a, b) => b.psnr.mean - a.psnr.mean);
  const [first, second] = at;
  const own = at.find(s => s.method === against);
  const place = `With ${budget} of ${steps} steps computed, `;
  if (!first) return `${place}nothing has been measured yet.`;
  const worstOf = (s: Summary): string =>
    `${decibels(s.psnr.mean)} dB on average, ${decibels(s.psnr.worst)} dB at worst`;
  if (!own || !second) return `${place}${first.title} keeps ${worstOf(first)}.`;
  if (own.method !== first.method) {
    const gap = differenceText(reversed(first.behind as Interval));
    return `${place}${own.title} keeps ${worstOf(own)}, and ${first.title} is ahead of it by ${gap} dB.`;
  }
  const gap = second.behind as Interval;
  return (
    `${place}${own.title} keeps ${worstOf(own)}: ${differenceText(gap)} dB against ${second.title}, the next best, ` +
    `and nearer on ${second.losses} of ${gap.count} pairs.`
  );
}
