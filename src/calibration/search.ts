import type { RectifyForm } from '../cache/rectify';
import { uniformReuse } from '../cache/uniform';
import { mean } from '../metrics/statistics';
import { torchGenerator } from '../random/torch-generator';
import type { Job } from '../sampling/pipeline';
import { type FitAllOptions, type FittedRectification, fitRectifications } from './fit';
import { levelAt, levelsOf, movePlaces, type Places } from './levels';
import { qualityOf, worstQuarter } from './quality';
import type { Reference } from './reference';
import { type CostShape, pairwiseDistances, reuseCost, shortestSchedule } from './shortest-path';
import { walkToBudget } from './walk';

/** How a schedule of a given number of computed steps is found. */
export type SearchMethod = 'walk' | 'dp' | 'anneal' | 'solver';

export interface SearchOptions extends FitAllOptions {
  /** How rebuilt outputs will be corrected: schedules are judged with it. */
  readonly rectify: RectifyForm;
  /** How many schedules `anneal` and `solver` may try for a budget. */
  readonly trials?: number | undefined;
  /** What the worst eighth of the pairs counts beside their mean; see `qualityOf`. */
  readonly worstWeight?: number | undefined;
}

export const DEFAULT_TRIALS = 12;

/** Weights over time: below 0 the early steps count for more, which decide what will be seen. */
const TILTS = [-0.375, -0.25, -0.125, 0, 0.25, 0.5];
/** What shortest paths are tried with. */
const SHAPES: readonly CostShape[] = [1, 2].flatMap(power => TILTS.map(tilt => ({ tilt, power })));
/** Evenly spread schedules that are tried too, by the steps that are computed at the end: no search is worse than these. */
const UNIFORM_LAST = [0, 2] as const;

/** How many ways there are to make schedules of a budget. */
const WAYS = SHAPES.length + UNIFORM_LAST.length;

/** How many schedules are judged at most; for estimates. */
export function schedulesAtMost(method: SearchMethod, trials = DEFAULT_TRIALS): number {
  return method === 'walk' ? 0 : WAYS + refinedAtMost(method, trials);
}

/** How many schedules are judged at most after the shortest paths. */
function refinedAtMost(method: SearchMethod, trials: number): number {
  // Moved levels are fitted once more, with the reused steps between them; so are those that they begin at.
  return method === 'anneal' ? trials : method === 'solver' ? trials + 2 : 0;
}

/** A schedule, what was fitted on it, and the mean squared error of every calibration run's final latent under it. */
export interface Tried extends FittedRectification {
  readonly reused: readonly boolean[];
  /** Noise levels that its steps were moved to; absent where they are the run's own. */
  readonly levels?: readonly number[] | undefined;
}

/** A schedule with the quality of the calibration runs that followed it. */
interface Judged extends Tried {
  /** Quality of all rows, and of two halves of them apart. */
  readonly quality: number;
  readonly halves: readonly [number, number];
}

/** What a search came to for one budget. */
export interface Searched {
  readonly reused: readonly boolean[];
  /** What was fitted on it, with scalar coefficients and no timestep adjustment; nothing after the paper's walk. */
  readonly tried?: Tried;
  readonly lambda: number;
}

/**
 * The schedule with exactly `computed` computed steps that serves the calibration pairs best.
 * - `walk`: the paper's threshold walk.
 * - `dp`: shortest paths over the distances between steps, the weight over time chosen by the final error, and evenly
 *   spread schedules.
 * - `anneal`: the best of these, then local search on the final error. A schedule must be better on two halves of the
 *   pairs at once: with one set, search overfits within a few dozen trials.
 * - `solver`: the best of `dp`, then its computed steps are moved to noise levels between those of the run too. The worst
 *   quarter of the pairs counts as much as their mean.
 */
export async function searchSchedule(
  references: readonly Reference[],
  method: SearchMethod,
  computed: number,
  options: SearchOptions,
): Promise<Searched> {
  if (method === 'walk') return walkToBudget(references, computed, options);
  const [found] = await bestPaths(references, [computed], options);
  const best = await refined(references, method, found as Tried, options);
  return { reused: best.reused, tried: best, lambda: Number.NaN };
}

/**
 * The same for several budgets at once. Some of them are searched in every way, larger ones on a part of the runs, and in
 * the best of these ways on all; the others only in the ways that did best at the nearest of these. A budget that would
 * serve worse than a smaller one is left out.
 * @param budgets numbers of computed steps, growing
 */
export async function searchBudgets(
  references: readonly Reference[],
  method: Exclude<SearchMethod, 'walk'>,
  budgets: readonly number[],
  options: SearchOptions,
): Promise<Searched[]> {
  const kept: Tried[] = [];
  let most = Number.NEGATIVE_INFINITY;
  for (const found of await bestPaths(references, budgets, options)) {
    const best = await refined(references, method, found, options);
    // Not bounded above, so that larger budgets are told apart too.
    const quality = qualityOf(best.errors, options.worstWeight, Number.POSITIVE_INFINITY);
    if (quality <= most) continue;
    most = quality;
    kept.push(best);
  }
  return kept.map(best => ({ reused: best.reused, tried: best, lambda: Number.NaN }));
}

/** Where among all steps the budgets lie that are searched in every way. */
const ANCHORS = [1 / 5, 4 / 15, 1 / 3, 1 / 2, 2 / 3];

/** Those of some budgets that are searched in every way. */
function anchorsOf(budgets: readonly number[], steps: number): number[] {
  const nearest = (to: number): number => budgets.reduce((a, b) => (Math.abs(b - to) < Math.abs(a - to) ? b : a));
  return [...new Set(ANCHORS.map(share => nearest(Math.round(share * steps))))];
}

/** Of so many steps one is few: these budgets are searched on all runs. */
const FEW = 3;
/** Of larger ones, so large a part of the runs, and so many rows at least, say which ways are tried on all. */
const SCOUTS = { part: 4, rows: 8 } as const;
/** So many of the ways are. */
const SHORTLIST = 2;

/** Runs that say which ways are tried on all, spread over them; all, where they cannot be parted. */
function scoutsOf(references: readonly Reference[]): readonly Reference[] {
  const rows = (some: readonly Reference[]): number =>
    some.reduce((sum, { job }) => sum + (job.latents.shape[0] as number), 0);
  const some = references.filter((_, r) => r % SCOUTS.part === 0);
  return rows(some) >= SCOUTS.rows ? some : references;
}

/** How many schedules are judged for each of some budgets at most; for estimates. */
export function triedAtMost(
  method: SearchMethod,
  budgets: readonly number[],
  steps: number,
  trials = DEFAULT_TRIALS,
): { readonly computed: number; readonly schedules: number }[] {
  const anchors = anchorsOf(budgets, steps);
  return budgets.map(computed => ({
    computed,
    // Between two anchors two ways are tried, and even schedules where the sampler asks for them.
    schedules:
      (anchors.includes(computed) ? WAYS + SHORTLIST : 2) + UNIFORM_LAST.length + refinedAtMost(method, trials),
  }));
}

/** The best schedule of every budget. */
async function bestPaths(
  references: readonly Reference[],
  budgets: readonly number[],
  options: SearchOptions,
): Promise<Tried[]> {
  const steps = (references[0] as Reference).outputs.length;
  const anchors = anchorsOf(budgets, steps);
  const ways = await waysOf(references);
  const aims = canAim((references[0] as Reference).job);
  const shapes = SHAPES.map((_, way) => way);
  const evens = UNIFORM_LAST.map((_, u) => SHAPES.length + u);
  /** Prices of Euler steps say little of a sampler that looks back: there, no schedule may err more than even ones. */
  const allowed = (judged: readonly OfWay[]): readonly OfWay[] => {
    const even = Math.min(...judged.filter(({ way }) => evens.includes(way)).map(({ errors }) => mean(errors)));
    return aims || !Number.isFinite(even) ? judged : judged.filter(({ errors }) => mean(errors) <= even);
  };
  /** What comes of the ways that each budget is tried in, the best first. */
  const ranked = async (
    runs: readonly Reference[],
    some: readonly number[],
    waysAt: (computed: number) => readonly number[],
  ): Promise<Map<number, readonly OfWay[]>> => {
    const candidates = some.flatMap(computed =>
      waysAt(computed).map(way => ({ computed, way, reused: (ways[way] as Way)(computed) })),
    );
    const tried = await tryAll(runs, distinct(candidates.map(c => c.reused)), options);
    const byKey = new Map(tried.map(each => [keyOf(each.reused), judge(each, options)]));
    const ofBudget = (computed: number): readonly OfWay[] => {
      const own = candidates.filter(c => c.computed === computed);
      const judged = own.map(({ way, reused }) => ({ way, ...(byKey.get(keyOf(reused)) as Judged) }));
      return [...allowed(judged)].sort((a, b) => b.quality - a.quality);
    };
    return new Map(some.map(computed => [computed, ofBudget(computed)]));
  };
  // Of Euler steps, even ones are near the best only where there are few.
  const everyWay = (computed: number): readonly number[] =>
    !aims || budgets.length === 1 || 2 * computed <= steps ? [...shapes, ...evens] : shapes;
  if (budgets.length === 1) {
    const found = await ranked(references, budgets, everyWay);
    return budgets.map(computed => found.get(computed)?.[0] as Tried);
  }
  // Where few steps are computed single runs tip over to another picture: a part of them does not tell, and costs little less.
  const small = anchors.filter(anchor => FEW * anchor <= steps);
  const large = anchors.filter(anchor => !small.includes(anchor));
  const judged = await ranked(references, small, everyWay);
  const scouts = scoutsOf(references);
  const scouted = await ranked(scouts, large, everyWay);
  const most = scouts === references ? 1 : SHORTLIST;
  const waysOfAnchor = (anchor: number): readonly number[] =>
    bestWays(judged.get(anchor) ?? scouted.get(anchor) ?? [], most);
  const tryable = (computed: number): readonly number[] => {
    const below = anchors.findLast(anchor => anchor < computed);
    const above = anchors.find(anchor => anchor > computed);
    const near = [below, above].flatMap(anchor => (anchor === undefined ? [] : (waysOfAnchor(anchor)[0] as number)));
    return [...new Set([...(large.includes(computed) ? waysOfAnchor(computed) : near), ...(aims ? [] : evens)])];
  };
  const others = budgets.filter(computed => !small.includes(computed));
  const found = new Map([...judged, ...(await ranked(references, others, tryable))]);
  return budgets.map(computed => found.get(computed)?.[0] as Tried);
}

/** A schedule that one of the ways has made. */
type OfWay = Judged & { readonly way: number };

/** The ways that made the first of some schedules; of two ways that made the same one, the first. */
function bestWays(ranked: readonly OfWay[], most: number): number[] {
  const byKey = new Map<string, number>();
  for (const { reused, way } of ranked) if (!byKey.has(keyOf(reused))) byKey.set(keyOf(reused), way);
  return [...byKey.values()].slice(0, most);
}

/** Whether the sampler of a job can say which output leads to a latent: where it does not look back. */
function canAim(job: Job): boolean {
  const solver = job.solver();
  const aims = solver.aim !== undefined;
  solver.dispose();
  return aims;
}

/** How schedules of any budget are made. */
type Way = (computed: number) => readonly boolean[];

async function waysOf(references: readonly Reference[]): Promise<Way[]> {
  const distances = await pairwiseDistances(references);
  const { sigmas, takeover } = (references[0] as Reference).job;
  const steps = sigmas.length - 1;
  // A model that takes over has nothing to reuse yet.
  const crosses = (from: number, to: number): boolean => takeover !== undefined && from < takeover && takeover < to;
  return [
    ...SHAPES.map((shape): Way => {
      const cost = reuseCost(distances, sigmas, shape);
      return computed =>
        shortestSchedule(steps, computed, (from, to) =>
          crosses(from, to) ? Number.POSITIVE_INFINITY : cost(from, to),
        );
    }),
    ...UNIFORM_LAST.map(
      (last): Way =>
        computed =>
          computedAt(takeover, uniformReuse(steps, computed, { last: Math.min(last, computed - 1) })),
    ),
  ];
}

/** A schedule of as many computed steps, one of which is this one: the nearest to it is given up for it. */
function computedAt(step: number | undefined, reused: readonly boolean[]): readonly boolean[] {
  if (step === undefined || !reused[step]) return reused;
  const others = reused.flatMap((r, i) => (r || i === 0 ? [] : [i]));
  if (others.length === 0) return reused;
  const nearest = others.reduce((a, b) => (Math.abs(b - step) < Math.abs(a - step) ? b : a));
  return reused.map((r, i) => (i === step ? false : i === nearest ? true : r));
}

/** Every schedule of a budget that `dp` tries, on the calibration pairs: what a choice is made from. */
export async function triedPaths(
  references: readonly Reference[],
  computed: number,
  options: SearchOptions,
): Promise<Tried[]> {
  const ways = await waysOf(references);
  return tryAll(references, distinct(ways.map(way => way(computed))), options);
}

async function tryAll(
  references: readonly Reference[],
  schedules: readonly (readonly boolean[])[],
  options: SearchOptions,
): Promise<Tried[]> {
  if (schedules.length === 0) return [];
  const fitted = await fitRectifications(references, schedules, options.rectify, 'scalar', options);
  return fitted.map((each, s) => ({ ...each, reused: schedules[s] as readonly boolean[] }));
}

function judge(tried: Tried, { worstWeight }: SearchOptions): Judged {
  const { errors } = tried;
  const half = (odd: number): number =>
    qualityOf(
      errors.filter((_, i) => i % 2 === odd),
      worstWeight,
    );
  return { ...tried, quality: qualityOf(errors, worstWeight), halves: errors.length > 1 ? [half(0), half(1)] : [0, 0] };
}

async function refined(
  references: readonly Reference[],
  method: SearchMethod,
  found: Tried,
  options: SearchOptions,
): Promise<Tried> {
  const { trials = DEFAULT_TRIALS } = options;
  if (method === 'solver') return freed(references, found, trials, options);
  if (method !== 'anneal') return found;
  const judged = async (reused: readonly boolean[]): Promise<Judged> => {
    const [tried] = await tryAll(references, [reused], options);
    return judge(tried as Tried, options);
  };
  const { takeover } = (references[0] as Reference).job;
  return anneal(judge(found, options), judged, trials, takeover);
}

/** The same schedule with its computed steps moved to the noise levels that serve it best. */
async function freed(
  references: readonly Reference[],
  found: Tried,
  trials: number,
  options: SearchOptions,
): Promise<Tried> {
  const { sigmas } = (references[0] as Reference).job;
  const { reused } = found;
  const fitOn = async (schedule: readonly boolean[], levels: readonly number[]): Promise<Tried> => {
    const moved = { ...options, sigmas: levels, fromFirst: true };
    const [fitted] = await fitRectifications(references, [schedule], options.rectify, 'scalar', moved);
    return { ...(fitted as FittedRectification), reused, levels };
  };
  const judgeSteady = (tried: Tried): Judged => {
    const { quality, ...judged } = judge(tried, options);
    return { ...judged, quality: (quality + worstQuarter(tried.errors)) / 2 };
  };
  // Reused steps between two computed ones add up to one step of the same weights: levels are judged without them.
  const jump = async (places: Places): Promise<Judged> => {
    const levels = [...places.map(place => levelAt(sigmas, place)), sigmas.at(-1) as number];
    return judgeSteady(
      await fitOn(
        places.map(() => false),
        levels,
      ),
    );
  };
  const places = reused.flatMap((r, i) => (r ? [] : [i]));
  const start = { places, judged: await jump(places) };
  const best = await movePlaces(start, reused.length, { judge: jump, isBetter }, trials);
  if (best === start) return found;
  const moved = await fitOn(reused, levelsOf(sigmas, reused, best.places));
  return isBetter(judgeSteady(moved), judgeSteady(found)) ? moved : found;
}

/** Whether all pairs together do better, and neither half of them does much worse. */
const isBetter = (a: Judged, than: Judged): boolean =>
  a.quality > than.quality && a.halves.every((half, i) => half >= (than.halves[i] as number) - HALF_SLACK_DB);

/** How much worse one half of the pairs may get where the whole gets better, in dB. */
const HALF_SLACK_DB = 0.5;
/** Temperature at the start, in dB; it falls to nothing over the trials. */
const HEAT_DB = 0.3;

/** Local search: computed steps are moved by up to three places; the best schedule seen wins. */
async function anneal(
  start: Judged,
  judge: (reused: readonly boolean[]) => Promise<Judged>,
  trials: number,
  fixed: number | undefined,
) {
  const random = torchGenerator(0);
  const seen = new Set([keyOf(start.reused)]);
  let [best, current] = [start, start];
  for (let trial = 0; trial < trials; trial++) {
    const moved = randomMove(current.reused, random.uniformDouble, seen, fixed);
    if (!moved) break;
    seen.add(keyOf(moved));
    const judged = await judge(moved);
    const heat = HEAT_DB * (1 - trial / trials);
    const gain = judged.quality - current.quality;
    if (gain > 0 || random.uniformDouble() < Math.exp(gain / Math.max(heat, 1e-9))) current = judged;
    if (isBetter(judged, best)) best = judged;
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
  fixed: number | undefined,
): readonly boolean[] | undefined {
  const computed = reused.flatMap((r, i) => (r || i === 0 || i === fixed ? [] : [i]));
  for (let attempt = 0; attempt < 200 && computed.length > 0; attempt++) {
    const from = computed[Math.floor(random() * computed.length)] as number;
    const to = from + (random() < 0.5 ? -1 : 1) * (1 + Math.floor(random() * 3));
    if (to < 1 || to >= reused.length || !reused[to]) continue;
    const moved = reused.map((r, i) => (i === from ? true : i === to ? false : r));
    if (!seen.has(keyOf(moved))) return moved;
  }
  return undefined;
}
