import type { RectifyForm } from '../../cache/rectify';
import { computedSteps } from '../../policy/data';
import { type FitAllOptions, type FittedRectification, fitRectifications } from '../fit';
import { ceilingAt, qualityOf } from '../quality';
import type { Reference } from '../reference';

export interface SearchOptions extends FitAllOptions {
  /** How rebuilt outputs will be corrected: schedules are judged with it. */
  readonly rectify: RectifyForm;
  /** How many schedules `anneal` and `solver` may try for a budget. */
  readonly trials?: number | undefined;
  /** What the worst eighth of the pairs counts beside their mean; see `qualityOf`. */
  readonly worstWeight?: number | undefined;
}

/** A schedule, what was fitted on it, and the mean squared error of every calibration run's final latent under it. */
export interface Tried extends FittedRectification {
  readonly reused: readonly boolean[];
  /** Noise levels that its steps were moved to; absent where they are the run's own. */
  readonly levels?: readonly number[] | undefined;
}

/** A schedule with the quality of the calibration runs that followed it. */
export interface Judged extends Tried {
  /** Quality of all rows, and of two halves of them apart. */
  readonly quality: number;
  readonly halves: readonly [number, number];
}

/** Fits every schedule on these runs; what they have in common at the beginning is run once. */
export async function tryAll(
  references: readonly Reference[],
  schedules: readonly (readonly boolean[])[],
  options: SearchOptions,
): Promise<Tried[]> {
  if (schedules.length === 0) return [];
  const fitted = await fitRectifications(references, schedules, options.rectify, 'scalar', options);
  return fitted.map((each, s) => ({ ...each, reused: schedules[s] as readonly boolean[] }));
}

export function judge(tried: Tried, { worstWeight }: SearchOptions): Judged {
  const { errors, reused } = tried;
  const ceiling = ceilingAt(computedSteps(reused), reused.length);
  const quality = (some: readonly number[]): number => qualityOf(some, worstWeight, ceiling);
  const half = (odd: number): number => quality(errors.filter((_, i) => i % 2 === odd));
  return { ...tried, quality: quality(errors), halves: errors.length > 1 ? [half(0), half(1)] : [0, 0] };
}

/** How much worse one half of the pairs may get where the whole gets better, in dB. */
const HALF_SLACK_DB = 0.5;

/** Whether all pairs together do better, and neither half of them does much worse. */
export const isBetter = (a: Judged, than: Judged): boolean =>
  a.quality > than.quality && a.halves.every((half, i) => half >= (than.halves[i] as number) - HALF_SLACK_DB);

export const keyOf = (reused: readonly boolean[]): string => reused.map(Number).join('');

export function distinct(schedules: readonly (readonly boolean[])[]): (readonly boolean[])[] {
  return [...new Map(schedules.map(s => [keyOf(s), s])).values()];
}
