import { mean } from '../../metrics/statistics';
import type { Reference } from '../reference';
import { distinct, type Judged, judge, keyOf, type SearchOptions, type Tried, tryAll } from './tried';
import { canAim, EVENS, type Way, waysOf } from './ways';

/** A schedule that one of the ways has made. */
export type OfWay = Judged & { readonly way: number };

/** What comes of the ways that each of some budgets is tried in on some runs, the best first. */
export type Ranked = (
  runs: readonly Reference[],
  budgets: readonly number[],
  waysAt: (computed: number) => readonly number[],
) => Promise<ReadonlyMap<number, readonly OfWay[]>>;

/** The schedules that the ways make from these runs, tried and put in order. */
export async function rankingOf(references: readonly Reference[], options: SearchOptions): Promise<Ranked> {
  const ways = await waysOf(references);
  const aims = canAim((references[0] as Reference).job);
  /** Prices of Euler steps say little of a sampler that looks back: there, no schedule may err more than even ones. */
  const allowed = (judged: readonly OfWay[]): readonly OfWay[] => {
    const even = Math.min(...judged.filter(({ way }) => EVENS.includes(way)).map(({ errors }) => mean(errors)));
    return aims || !Number.isFinite(even) ? judged : judged.filter(({ errors }) => mean(errors) <= even);
  };
  return async (runs, budgets, waysAt) => {
    const candidates = budgets.flatMap(computed =>
      waysAt(computed).map(way => ({ computed, way, reused: (ways[way] as Way)(computed) })),
    );
    const tried = await tryAll(runs, distinct(candidates.map(c => c.reused)), options);
    const byKey = new Map(tried.map(each => [keyOf(each.reused), judge(each, options)]));
    const ofBudget = (computed: number): readonly OfWay[] => {
      const own = candidates.filter(c => c.computed === computed);
      const judged = own.map(({ way, reused }) => ({ way, ...(byKey.get(keyOf(reused)) as Judged) }));
      return [...allowed(judged)].sort((a, b) => b.quality - a.quality);
    };
    return new Map(budgets.map(computed => [computed, ofBudget(computed)]));
  };
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
