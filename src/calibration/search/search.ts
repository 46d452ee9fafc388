import type { Reference } from '../reference';
import { anneal } from './anneal';
import { bestPaths, type Found, qualityOn, triedPathsAtMost } from './budgets';
import { freeLevels } from './free-levels';
import { type Judged, judge, type SearchOptions, type Tried, tryAll } from './tried';
import { walkToBudget } from './walk';
import { WAYS } from './ways';

/** How a schedule of a given number of computed steps is found. */
export type SearchMethod = 'walk' | 'dp' | 'anneal' | 'solver';

export const DEFAULT_TRIALS = 12;

/** How many schedules are judged at most; for estimates. */
export function schedulesAtMost(method: SearchMethod, trials = DEFAULT_TRIALS): number {
  return method === 'walk' ? 0 : WAYS.length + refinedAtMost(method, trials);
}

/** How many schedules are judged for each of some budgets at most; for estimates. */
export function triedAtMost(
  method: SearchMethod,
  budgets: readonly number[],
  steps: number,
  trials = DEFAULT_TRIALS,
): { readonly computed: number; readonly schedules: number }[] {
  return triedPathsAtMost(budgets, steps).map(({ computed, schedules }) => ({
    computed,
    schedules: schedules + refinedAtMost(method, trials),
  }));
}

/** How many schedules are judged at most after the shortest paths. */
function refinedAtMost(method: SearchMethod, trials: number): number {
  // Moved levels are fitted once more, with the reused steps between them; so are those that they begin at.
  return method === 'anneal' ? trials : method === 'solver' ? trials + 2 : 0;
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
  return searched(await refined(method, found as Found, options));
}

/** The same for several budgets at once; see `bestPaths`. A budget that would serve worse than a smaller one is left out. */
export async function searchBudgets(
  references: readonly Reference[],
  method: Exclude<SearchMethod, 'walk'>,
  budgets: readonly number[],
  options: SearchOptions,
): Promise<Searched[]> {
  const kept: Found[] = [];
  const quality = (found: Found, runs: readonly Reference[]): number => qualityOn(runs, found, options.worstWeight);
  for (const path of await bestPaths(references, budgets, options)) {
    const found = { ...path, best: await refined(method, path, options) };
    const smaller = kept.at(-1);
    if (smaller && quality(found, found.runs) <= quality(smaller, found.runs)) continue;
    kept.push(found);
  }
  return kept.map(({ best }) => searched(best));
}

const searched = (tried: Tried): Searched => ({ reused: tried.reused, tried, lambda: Number.NaN });

async function refined(
  method: Exclude<SearchMethod, 'walk'>,
  { best, runs }: Found,
  options: SearchOptions,
): Promise<Tried> {
  const { trials = DEFAULT_TRIALS } = options;
  if (method === 'solver') return freeLevels(runs, best, trials, options);
  if (method === 'dp') return best;
  const judged = async (reused: readonly boolean[]): Promise<Judged> => {
    const [tried] = await tryAll(runs, [reused], options);
    return judge(tried as Tried, options);
  };
  return anneal(judge(best, options), judged, trials, (runs[0] as Reference).job.takeover);
}
