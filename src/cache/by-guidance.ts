import type { Combination, Rectification } from './rectify';

/** Guidance from a least to a most. */
export interface GuidanceRange {
  /** The least; more than 0. */
  readonly from: number;
  /** The most. */
  readonly to: number;
}

/** Weights are quadratic in the place of a guidance in its range. */
export const POWERS = [0, 1, 2] as const;

/** Where a guidance lies in a range: -1 at its beginning, 1 at its end, and even in the logarithm between. */
export function placeOf(guidance: number, { from, to }: GuidanceRange): number {
  return (2 * Math.log(guidance / from)) / Math.log(to / from) - 1;
}

/** The name of a term times a power of the guidance's place: `conditional.1@2`. */
export const poweredTerm = (term: string, power: number): string => (power === 0 ? term : `${term}@${power}`);

/** A term, and the power of the guidance's place that it is weighed with. */
export function splitTerm(name: string): { readonly term: string; readonly power: number } {
  const [, term, power] = /^(.*)@([12])$/.exec(name) ?? [];
  return term === undefined ? { term: name, power: 0 } : { term, power: Number(power) };
}

/** The weights of one guidance. */
export function weightsAt(weights: Combination, place: number): Combination {
  const sums = new Map<string, number>();
  for (const [name, weight] of Object.entries(weights)) {
    const { term, power } = splitTerm(name);
    sums.set(term, (sums.get(term) ?? 0) + weight * place ** power);
  }
  return Object.fromEntries([...sums].map(([term, weight]) => [term, Math.fround(weight)]));
}

/** The rectification of one guidance, from one whose weights depend on it. */
export function rectificationAt(rectify: Rectification, place: number): Rectification {
  if (rectify.form !== 'lsq') return rectify;
  return { form: 'lsq', steps: rectify.steps.map(step => step && weightsAt(step, place)) };
}
