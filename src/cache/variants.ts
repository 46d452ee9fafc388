import { dmd } from './dmd';
import { hicache } from './hicache';
import { type HistoryFit, l2p } from './l2p';
import { magcache, magcachePlan } from './magcache';
import { meancache } from './meancache';
import type { CachePolicy } from './policy';
import { spectrum } from './spectrum';
import { type TaylorSeerOptions, taylorseer, taylorseerPlan } from './taylorseer';
import { type NamedSchedule, plainReuse, spreads } from './uniform';
import { zeus } from './zeus';

/** How many steps a run has, and how many of them may be computed. */
export interface Budget {
  /** Denoising steps of the run. */
  readonly steps: number;
  /** How many of them may be computed. */
  readonly computed: number;
}

/** A method at one setting of those that its authors leave open. */
export interface Variant {
  /** The setting, for people. */
  readonly setting: string;
  /** The caching method. */
  readonly policy: CachePolicy;
}

/** Every schedule with every setting. */
function each<T>(
  schedules: readonly NamedSchedule[],
  knobs: readonly T[],
  name: (knob: T) => string,
  create: (reused: readonly boolean[], knob: T) => CachePolicy,
): Variant[] {
  return schedules.flatMap(({ setting, reused }) =>
    knobs.map(knob => ({ setting: [name(knob), setting].filter(Boolean).join(', '), policy: create(reused, knob) })),
  );
}

const scheduled = ({ steps, computed }: Budget): NamedSchedule[] => spreads(steps, computed);

export const uniformVariants = ({ steps, computed }: Budget): Variant[] =>
  each(spreads(steps, computed, [1]), ['hidden'] as const, () => '', plainReuse);

export const hicacheVariants = (budget: Budget): Variant[] =>
  each(
    scheduled(budget),
    [
      { order: 1, contraction: Math.SQRT1_2 },
      { order: 1, contraction: 0.5 },
      { order: 2, contraction: 0.5 },
    ],
    knob => `order ${knob.order}, contraction ${Number(knob.contraction.toFixed(2))}`,
    (reused, knob) => hicache({ reused, ...knob }),
  );

export const spectrumVariants = (budget: Budget): Variant[] =>
  each(
    scheduled(budget),
    [
      { ridge: 0.1, blend: 1 },
      { ridge: 0.1, blend: 0.5 },
      { ridge: 0.001, blend: 1 },
    ],
    knob => `ridge ${knob.ridge}, blend ${knob.blend}`,
    (reused, knob) => spectrum({ reused, ...knob }),
  );

export const zeusVariants = (budget: Budget): Variant[] =>
  each(
    scheduled(budget),
    ['step', 'unit'] as const,
    reach => `reach: ${reach}`,
    (reused, reach) => zeus({ reused, reach }),
  );

export const dmdVariants = (budget: Budget): Variant[] =>
  each(
    scheduled(budget),
    [6],
    () => '',
    reused => dmd({ reused }),
  );

/** Beside evenly spread schedules, the searched one where there is one, for the paper's own search is not built. */
export const meancacheVariants = (budget: Budget, searched: readonly NamedSchedule[] = []): Variant[] =>
  each(
    [...spreads(budget.steps, budget.computed, [1, 3]), ...searched],
    (['corrected', 'interval', 'stepwise'] as const).flatMap(form => [2, 3, 4].map(window => ({ form, window }))),
    knob => `${knob.form}, window ${knob.window}`,
    (reused, knob) => meancache({ reused, ...knob }),
  );

/** Its weights are fitted, so it is given the searched schedule too, where there is one. */
export const l2pVariants = (
  budget: Budget,
  fits: readonly HistoryFit[],
  searched: readonly NamedSchedule[] = [],
): Variant[] =>
  each(
    [...scheduled(budget), ...searched],
    fits,
    ({ ridge }) => `ridge ${ridge}`,
    (reused, { weights }) => l2p({ reused, weights }),
  );

/** The warm-up of the reference, which a budget's warm-up stays close to. */
const USUAL_WARM_UP = 3;
/** Settings of warm-up and interval that are tried for every number of last steps. */
const PLANS = 3;

/**
 * Warm-ups and intervals with which TaylorSeer computes exactly `computed` of `steps` steps, the last `coolDown` of them
 * among these: the warm-up nearest to the usual one first, then the shortest interval.
 */
export function taylorseerPlans({ steps, computed }: Budget, coolDown = 0): TaylorSeerOptions[] {
  if (computed >= steps) return [{ interval: 1 }];
  const ends = coolDown === 0 ? {} : { coolDown: steps - coolDown };
  return Array.from({ length: computed + 1 }, (_, warmUp) =>
    Array.from({ length: steps }, (__, i) => ({ warmUp, interval: i + 1, ...ends })),
  )
    .flat()
    .filter(options => taylorseerPlan(steps, options).filter(d => d === 'compute').length === computed)
    .sort((a, b) => Math.abs(a.warmUp - USUAL_WARM_UP) - Math.abs(b.warmUp - USUAL_WARM_UP) || a.interval - b.interval);
}

/** As its authors use it: diffusers' warm-up, interval, last steps computed, and both orders. */
export function taylorseerVariants(budget: Budget, lite: boolean): Variant[] {
  const plans = [0, 1, 2, 3].flatMap(coolDown => taylorseerPlans(budget, coolDown).slice(0, PLANS));
  const apart = new Map(plans.map(plan => [taylorseerPlan(budget.steps, plan).join(), plan]));
  return [...apart.values()].flatMap(plan =>
    [1, 2].map(order => ({
      setting: `order ${order}, warm-up ${plan.warmUp ?? USUAL_WARM_UP}, every ${plan.interval} steps${plan.coolDown === undefined ? '' : `, computed from step ${plan.coolDown} on`}`,
      policy: taylorseer({ ...plan, order, lite }),
    })),
  );
}

/** Thresholds of MagCache between these are looked at, so many to a decade. */
const THRESHOLDS = { from: 1e-6, to: 20, perDecade: 60 } as const;

/** Every schedule of a number of computed steps that MagCache has at any threshold, limit and retained part. */
export function magcacheVariants({ steps, computed }: Budget, ratios: readonly number[]): Variant[] {
  const { from, to, perDecade } = THRESHOLDS;
  const count = Math.ceil(Math.log10(to / from) * perDecade) + 1;
  const found = new Map<string, Variant>();
  for (const retentionRatio of [0.1, 0.2]) {
    for (const maxSkipSteps of [2, 3, 4, 6, Number.POSITIVE_INFINITY]) {
      for (let i = 0; i < count; i++) {
        const threshold = from * 10 ** (i / perDecade);
        const options = { threshold, ratios, maxSkipSteps, retentionRatio };
        const plan = magcachePlan(steps, options).map(p => p.decision);
        if (plan.filter(d => d === 'compute').length !== computed || found.has(plan.join())) continue;
        const setting = `threshold ${Number(threshold.toPrecision(3))}, at most ${maxSkipSteps} skipped, ${retentionRatio} retained`;
        found.set(plan.join(), { setting, policy: magcache(options) });
      }
    }
  }
  return [...found.values()];
}
