import { requireWhole, wrongArgument } from '../io/arguments';
import { ertacache } from './ertacache';
import type { CachePolicy } from './policy';
import type { SiteName } from './sites';

/** Steps that are computed at both ends of a run, whatever lies between. */
export interface Ends {
  /** At the beginning; 1 unless given. */
  readonly first?: number | undefined;
  /** At the end; 0 unless given. */
  readonly last?: number | undefined;
}

/** Which of `steps` are reused when `computed` of them are computed: those at the ends, and evenly spread ones between. */
export function uniformReuse(steps: number, computed: number, { first = 1, last = 0 }: Ends = {}): boolean[] {
  const between = computed - first - last;
  const [from, to] = [first - 1, steps - last];
  const spread = Array.from({ length: Math.max(0, between) }, (_, k) => {
    return from + Math.floor(((k + 1) * (to - from)) / (between + 1));
  });
  const kept = new Set(spread);
  return Array.from({ length: steps }, (_, i) => i >= first && i < to && !kept.has(i));
}

/** What methods are tried with at the ends of a run. */
const FIRST = [1, 2, 3] as const;
const LAST = [0, 1, 2, 3] as const;

/** A schedule, and what it is called. */
export interface NamedSchedule {
  /** Its name, for people. */
  readonly setting: string;
  /** `true` where a step is reused. */
  readonly reused: readonly boolean[];
}

/** Evenly spread schedules of a number of computed steps, with more or fewer of them at both ends. */
export function spreads(steps: number, computed: number, firsts: readonly number[] = FIRST): NamedSchedule[] {
  return firsts.flatMap(first =>
    LAST.flatMap(last => {
      const fits = first + last <= computed && (first === 1 || computed - first - last > 0);
      const setting = `first ${first} and last ${last} computed`;
      return fits ? [{ setting, reused: uniformReuse(steps, computed, { first, last }) }] : [];
    }),
  );
}

/**
 * Evenly spread computed steps, plain reuse between them.
 * @param steps denoising steps of the run
 * @param computed how many of them are computed
 * @param site where the residual is taken; `hidden` by default, `velocity` for models that are not cut in three
 * @returns the caching method
 * @throws UsageError unless `computed` is a whole number from 1 to `steps`; PolicyError, when a run begins, unless it has
 *   `steps` steps
 */
export function uniform(steps: number, computed: number, site: SiteName = 'hidden'): CachePolicy {
  requireWhole('steps', steps, 1);
  requireWhole('computed', computed, 1);
  if (computed > steps) throw wrongArgument('computed', computed, `a whole number from 1 to ${steps}, the steps`);
  return plainReuse(uniformReuse(steps, computed), site);
}

/** Plain reuse on a schedule. */
export function plainReuse(reused: readonly boolean[], site: SiteName): CachePolicy {
  return ertacache({
    name: 'uniform',
    reused,
    site,
    timestep: { form: 'off', phi: [] },
    rectify: { form: 'off' },
  });
}
