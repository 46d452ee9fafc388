import type { RectifyForm } from '../cache/rectify';
import { PolicyError } from '../errors';
import { computedSteps } from '../policy/data';
import { torchGenerator } from '../random/torch-generator';
import { type FitOptions, fitRectification } from './fit';
import { across } from './in-turn';
import { qualityOf } from './quality';
import type { Reference } from './reference';
import { type CostShape, pairwiseDistances, reuseCost, shortestSchedule } from './shortest-path';
import { type Schedule, walkToBudget } from './walk';

/** How a schedule of a given number of computed steps is found. */
export type SearchMethod = 'walk' | 'dp' | 'anneal';

export interface SearchOptions extends Omit<FitOptions, 'reused' | 'sigmas'> {
  readonly computed: number;
  /** How rebuilt outputs will be corrected: schedules are judged with it. */
  readonly rectify: RectifyForm;
  /** How many schedules annealing may try. */
  readonly trials?: number | undefined;
  /** What the worst eighth of the pairs counts beside their mean; see `qualityOf`. */
  readonly worstWeight?: number | undefined;
}

export const DEFAULT_TRIALS = 12;

/** Weights over time: below 0 the early steps count for more, which decide what will be seen. */
const TILTS = [-0.375, -0.25, -0.125, 0, 0.25, 0.5];
/** What shortest paths are tried with. */
const SHAPES: readonly CostShape[] = [1, 2].flatMap(power => TILTS.map(tilt => ({ tilt, power })));

/** How many schedules are judged at most; for estimates. */
export function schedulesAtMost(method: SearchMethod, trials = DEFAULT_TRIALS): number {
  return method === 'walk' ? 0 : method === 'dp' ? SHAPES.length : SHAPES.length + trials;
}

/** A schedule with the quality of the calibration runs that followed it. */
interface Judged {
  readonly reused: readonly boolean[];
  /** Quality of all rows, and of two halves of them apart. */
  readonly quality: number;
  readonly halves: readonly [number, number];
}

/**
 * The schedule with exactly `computed` computed steps that serves the calibration pairs best.
 * - `walk`: the paper's threshold walk.
 * - `dp`: shortest paths over the distances between steps, the weight over time chosen by the final error.
 * - `anneal`: the best of these, then local search on the final error. A schedule must be better on two halves of the
 *   pairs at once: with one set, search overfits within a few dozen trials.
 */
export async function searchSchedule(
  references: readonly Reference[],
  method: SearchMethod,
  options: SearchOptions,
): Promise<Schedule> {
  if (method === 'walk') return walkToBudget(references, options.computed, options);
  const quality = (errors: readonly number[]): number => qualityOf(errors, options.worstWeight);
  const judged = ({ reused, errors }: Tried): Judged => {
    const half = (odd: number): number => quality(errors.filter((_, i) => i % 2 === odd));
    return { reused, quality: quality(errors), halves: errors.length > 1 ? [half(0), half(1)] : [0, 0] };
  };
  const judge = async (reused: readonly boolean[]): Promise<Judged> => judged(await tried(references, reused, options));
  let best: Judged | undefined;
  for (const candidate of await triedPaths(references, options)) {
    const own = judged(candidate);
    if (!best || own.quality > best.quality) best = own;
  }
  if (!best) throw new PolicyError(`No schedule of ${options.computed} computed steps was found.`);
  if (method === 'anneal') best = await anneal(best, judge, options.trials ?? DEFAULT_TRIALS);
  return { reused: best.reused, errors: [], lambda: Number.NaN };
}

/** A schedule, and the mean squared error of every calibration run's final latent under it. */
export interface Tried {
  readonly reused: readonly boolean[];
  readonly errors: readonly number[];
}

/** Every shortest path, tried on the calibration pairs: what a choice is made from. */
export async function triedPaths(references: readonly Reference[], options: SearchOptions): Promise<Tried[]> {
  const paths = distinct(await shortestPaths(references, options.computed));
  return across(references[0]?.job, paths, reused => tried(references, reused, options));
}

async function tried(
  references: readonly Reference[],
  reused: readonly boolean[],
  options: SearchOptions,
): Promise<Tried> {
  const { errors } = await fitRectification(references, options.rectify, 'scalar', { ...options, reused });
  return { reused, errors };
}

async function shortestPaths(references: readonly Reference[], computed: number): Promise<(readonly boolean[])[]> {
  const distances = await pairwiseDistances(references);
  const { sigmas } = references[0]!.job;
  return SHAPES.map(shape => shortestSchedule(sigmas.length - 1, computed, reuseCost(distances, sigmas, shape)));
}

/** How much worse one half of the pairs may get where the whole gets better, in dB. */
const HALF_SLACK_DB = 0.5;
/** Temperature at the start, in dB; it falls to nothing over the trials. */
const HEAT_DB = 0.3;

/** Local search: computed steps are moved by up to three places; the best schedule seen wins. */
async function anneal(start: Judged, judge: (reused: readonly boolean[]) => Promise<Judged>, trials: number) {
  const random = torchGenerator(0);
  const seen = new Set([keyOf(start.reused)]);
  let [best, current] = [start, start];
  for (let trial = 0; trial < trials; trial++) {
    const moved = randomMove(current.reused, random.uniformDouble, seen);
    if (!moved) break;
    seen.add(keyOf(moved));
    const judged = await judge(moved);
    const heat = HEAT_DB * (1 - trial / trials);
    const gain = judged.quality - current.quality;
    if (gain > 0 || random.uniformDouble() < Math.exp(gain / Math.max(heat, 1e-9))) current = judged;
    const better = judged.quality > best.quality && judged.halves.every((h, i) => h >= best.halves[i]! - HALF_SLACK_DB);
    if (better) best = judged;
  }
  return best;
}

const keyOf = (reused: readonly boolean[]): string => reused.map(Number).join('');

function distinct(schedules: readonly (readonly boolean[])[]): (readonly boolean[])[] {
  return [...new Map(schedules.map(s => [keyOf(s), s])).values()];
}

/** A schedule not seen yet in which one computed step has moved, or nothing when none is found soon. */
function randomMove(
  reused: readonly boolean[],
  random: () => number,
  seen: ReadonlySet<string>,
): readonly boolean[] | undefined {
  const computed = reused.flatMap((r, i) => (r || i === 0 ? [] : [i]));
  for (let attempt = 0; attempt < 200 && computedSteps(reused) > 1; attempt++) {
    const from = computed[Math.floor(random() * computed.length)] as number;
    const to = from + (random() < 0.5 ? -1 : 1) * (1 + Math.floor(random() * 3));
    if (to < 1 || to >= reused.length || !reused[to]) continue;
    const moved = reused.map((r, i) => (i === from ? true : i === to ? false : r));
    if (!seen.has(keyOf(moved))) return moved;
  }
  return undefined;
}
