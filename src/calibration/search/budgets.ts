import { qualityOf } from '../quality';
import type { Reference } from '../reference';
import { rankingOf } from './paths';
import type { SearchOptions, Tried } from './tried';
import { canAim, EVENS, PATHS, WAYS } from './ways';

/** The best schedule of a budget, and the runs that it was fitted on. */
export interface Found {
  readonly best: Tried;
  readonly runs: readonly Reference[];
}

/** Where among all steps the budgets lie that are searched in every way. */
const ANCHORS = [1 / 5, 4 / 15, 1 / 3, 1 / 2, 2 / 3];
/** From so large a part of the steps on, little is left to fit: so large a part of the runs, and so many rows at least, do. */
const DENSE = { from: 2 / 3, part: 2, rows: 16 } as const;

/** How many schedules are judged for each of some budgets at most; for estimates. */
export function triedPathsAtMost(
  budgets: readonly number[],
  steps: number,
): { readonly computed: number; readonly schedules: number }[] {
  const anchors = anchorsOf(budgets, steps);
  // Between two anchors two ways are tried, and even schedules where the sampler asks for them.
  const between = 2 + EVENS.length;
  return budgets.map(computed => ({
    computed,
    schedules: anchors.includes(computed) ? WAYS.length : between,
  }));
}

/**
 * The best schedules of several budgets at once. Some budgets are searched in every way, as each would be alone; the others only
 * in the ways that did best at the nearest of these.
 */
export async function bestPaths(
  references: readonly Reference[],
  budgets: readonly number[],
  options: SearchOptions,
): Promise<Found[]> {
  const { job, outputs } = references[0] as Reference;
  const steps = outputs.length;
  const aims = canAim(job);
  const ranked = await rankingOf(references, options);
  if (budgets.length === 1) {
    const found = await ranked(references, budgets, () => WAYS);
    return budgets.map(computed => ({ best: found.get(computed)?.[0] as Tried, runs: references }));
  }
  const anchors = anchorsOf(budgets, steps);
  // Of Euler steps, even ones are near the best only where there are few.
  const everyWay = (computed: number): readonly number[] => (!aims || 2 * computed <= steps ? WAYS : PATHS);
  const judged = await ranked(references, anchors, everyWay);
  const nearWays = (computed: number): readonly number[] => {
    const near = [anchors.findLast(anchor => anchor < computed), anchors.find(anchor => anchor > computed)];
    const best = near.flatMap(anchor => (anchor === undefined ? [] : (judged.get(anchor)?.[0]?.way ?? [])));
    return [...new Set([...best, ...(aims ? [] : EVENS)])];
  };
  const others = budgets.filter(computed => !anchors.includes(computed));
  const isDense = (computed: number): boolean => computed > DENSE.from * steps;
  const sparse = others.filter(computed => !isDense(computed));
  const between = await ranked(references, sparse, nearWays);
  const some = partOf(references, DENSE);
  const dense = await ranked(some, others.filter(isDense), nearWays);
  return budgets.map((computed): Found => {
    const onAll = (judged.get(computed) ?? between.get(computed))?.[0];
    return onAll ? { best: onAll, runs: references } : { best: dense.get(computed)?.[0] as Tried, runs: some };
  });
}

/** Quality of what was found, on some of the runs that it was fitted on. Not bounded above: large budgets are told apart too. */
export function qualityOn(runs: readonly Reference[], { best, runs: own }: Found, worstWeight?: number): number {
  let at = 0;
  const errors = own.flatMap(run => {
    const from = at;
    at += rowsOf([run]);
    return runs.includes(run) ? best.errors.slice(from, at) : [];
  });
  return qualityOf(errors, worstWeight, Number.POSITIVE_INFINITY);
}

/** Those of some budgets that are searched in every way. */
function anchorsOf(budgets: readonly number[], steps: number): number[] {
  const nearest = (to: number): number => budgets.reduce((a, b) => (Math.abs(b - to) < Math.abs(a - to) ? b : a));
  return [...new Set(ANCHORS.map(share => nearest(Math.round(share * steps))))];
}

const rowsOf = (runs: readonly Reference[]): number =>
  runs.reduce((sum, { job }) => sum + (job.latents.shape[0] as number), 0);

/** A part of the runs, spread over them; all, where too few rows would be left. */
function partOf(
  references: readonly Reference[],
  { part, rows }: { readonly part: number; readonly rows: number },
): readonly Reference[] {
  const some = references.filter((_, r) => r % part === 0);
  return rowsOf(some) >= rows ? some : references;
}
