import { UsageError } from '../errors';
import { type ErtaSettings, ertacache } from './ertacache';
import { fewerSteps } from './fewer-steps';
import { firstBlock } from './first-block';
import { magcache, magcachePlan } from './magcache';
import { none } from './none';
import type { CachePolicy } from './policy';
import { type TaylorSeerOptions, taylorseer, taylorseerPlan } from './taylorseer';
import { teacache } from './teacache';
import { uniform } from './uniform';

/** How many steps a run has, and how many of them may be computed. */
export interface Budget {
  /** Denoising steps of the run. */
  readonly steps: number;
  /** How many of them may be computed. */
  readonly computed: number;
}

/** What some methods need to know of a model, measured once (`src/calibration/baselines.ts`). */
export interface ModelFacts {
  /** TeaCache's polynomial, highest power first. */
  readonly polynomial: readonly number[];
  /** MagCache's magnitude ratios. */
  readonly ratios: readonly number[];
}

/** What every method says of itself. */
export interface Described {
  /** What it is called on the command line and in files. */
  readonly name: string;
  /** What it is called in reports. */
  readonly title: string;
  /** One sentence: what is decided on, and what is reused. */
  readonly summary: string;
  /** Where it comes from. */
  readonly source?: string;
  /** Decides anew for every picture while it is made. */
  readonly dynamic: boolean;
}

/** A method whose schedule follows from the budget alone. */
export interface ScheduledMethod extends Described {
  /** Needs a budget. */
  readonly kind: 'scheduled';
  /**
   * The policy that computes as many steps as the budget says.
   * @param budget steps of the run, and how many may be computed
   * @returns the caching method
   */
  create(budget: Budget): CachePolicy;
}

/** A method with a threshold, for which a budget has to be searched. */
export interface ThresholdMethod extends Described {
  /** Needs a threshold. */
  readonly kind: 'threshold';
  /** The fact about a model that it needs. */
  readonly needs?: keyof ModelFacts;
  /** Between these lie the thresholds that are worth trying: the first reuses next to nothing. */
  readonly range: readonly [number, number];
  /**
   * The policy at a threshold, for a model of these facts.
   * @param threshold the higher, the more is reused
   * @param facts what was measured on the model
   * @returns the caching method
   */
  create(threshold: number, facts: ModelFacts): CachePolicy;
  /**
   * How many steps it computes, where that can be said without running the model.
   * @param threshold the higher, the more is reused
   * @param steps denoising steps of the run
   * @param facts what was measured on the model
   * @returns the number of computed steps
   */
  computedSteps?(threshold: number, steps: number, facts: ModelFacts): number;
}

/** A method that is calibrated whole (`src/calibration`). */
export interface CalibratedMethod extends Described {
  /** Needs `calibrate`. */
  readonly kind: 'calibrated';
  /**
   * The policy that calibrated settings describe.
   * @param settings what calibration decided
   * @returns the caching method
   */
  create(settings: ErtaSettings): CachePolicy;
}

/** A caching method, by what it needs to be made. */
export type Method = ScheduledMethod | ThresholdMethod | CalibratedMethod;

/** A range that holds every threshold of a relative change that is of use. */
const RELATIVE_CHANGES = [1e-3, 5] as const;

/** Every caching method. A new one is a file beside this one and an entry here. */
export const methods: readonly Method[] = [
  {
    name: 'none',
    title: 'No cache',
    summary: 'Computes every step; what all others are compared with.',
    kind: 'scheduled',
    dynamic: false,
    create: none,
  },
  {
    name: 'fewer-steps',
    title: 'Fewer steps',
    summary: 'Takes fewer steps over the same noise schedule and caches nothing: the honest baseline.',
    kind: 'scheduled',
    dynamic: false,
    create: ({ computed }) => fewerSteps(computed),
  },
  {
    name: 'uniform',
    title: 'Uniform reuse',
    summary: 'Computes evenly spread steps and reuses the residual of the blocks between them.',
    kind: 'scheduled',
    dynamic: false,
    create: ({ steps, computed }) => uniform(steps, computed),
  },
  {
    name: 'teacache',
    title: 'TeaCache',
    summary: 'Sums the foretold change of the output and computes when the sum reaches a threshold.',
    source: 'arXiv 2411.19108',
    kind: 'threshold',
    dynamic: true,
    needs: 'polynomial',
    range: RELATIVE_CHANGES,
    create: (threshold, { polynomial }) => teacache({ threshold, coefficients: polynomial }),
  },
  {
    name: 'fbcache',
    title: 'First-block cache',
    summary: 'Runs the first block at every step; its change says whether the others run. A reused step costs a block.',
    source: 'ParaAttention',
    kind: 'threshold',
    dynamic: true,
    range: RELATIVE_CHANGES,
    create: threshold => firstBlock({ threshold }),
  },
  {
    name: 'magcache',
    title: 'MagCache',
    summary: 'Reuses within limits on an error that measured magnitude ratios foretell.',
    source: 'arXiv 2506.09045',
    kind: 'threshold',
    dynamic: false,
    needs: 'ratios',
    range: [1e-6, 20],
    create: (threshold, { ratios }) => magcache(magcacheOptions(threshold, ratios)),
    computedSteps: (threshold, steps, { ratios }) =>
      magcachePlan(steps, magcacheOptions(threshold, ratios)).filter(p => p.decision === 'compute').length,
  },
  {
    name: 'taylorseer',
    title: 'TaylorSeer',
    summary: 'Predicts the attention of most steps from finite differences; the rest of every block runs.',
    source: 'arXiv 2503.06923',
    kind: 'scheduled',
    dynamic: false,
    create: budget => taylorseer(taylorseerFor(budget)),
  },
  {
    name: 'taylorseer-lite',
    title: 'TaylorSeer lite',
    summary: 'Predicts the output of most steps from finite differences and runs no block.',
    source: 'arXiv 2503.06923',
    kind: 'scheduled',
    dynamic: false,
    create: budget => taylorseer({ ...taylorseerFor(budget), lite: true }),
  },
  {
    name: 'ertacache',
    title: 'ERTACache',
    summary: 'Calibrated schedule, predicted and corrected reuse: the best of what this project measured.',
    source: 'arXiv 2508.21091',
    kind: 'calibrated',
    dynamic: false,
    create: ertacache,
  },
  {
    name: 'ertacache-paper',
    title: 'ERTACache as published',
    summary: 'The recipe of the paper: threshold walk, timestep adjustment, scalar rectification.',
    source: 'arXiv 2508.21091',
    kind: 'calibrated',
    dynamic: false,
    create: ertacache,
  },
];

/**
 * The caching method of this name.
 * @param name as in `methods`, such as `teacache`
 * @returns the method
 * @throws UsageError naming the methods there are
 */
export function methodCalled(name: string): Method {
  const found = methods.find(m => m.name === name);
  if (found) return found;
  throw new UsageError(`There is no caching method "${name}".`, {
    hint: `Methods: ${methods.map(m => m.name).join(', ')}.`,
  });
}

/** The budget is met by the threshold alone: no other limit on the steps in a row, half the usual first part. */
function magcacheOptions(threshold: number, ratios: readonly number[]) {
  return { threshold, ratios, maxSkipSteps: Number.POSITIVE_INFINITY, retentionRatio: 0.1 };
}

/** The warm-up of the reference, which a budget's warm-up stays close to. */
const USUAL_WARM_UP = 3;

/**
 * Warm-up and interval with which TaylorSeer computes exactly `computed` of `steps` steps: the warm-up nearest to the
 * usual one, then the shortest interval.
 */
export function taylorseerFor({ steps, computed }: Budget): TaylorSeerOptions {
  if (computed >= steps) return { interval: 1 };
  const candidates = Array.from({ length: computed + 1 }, (_, warmUp) =>
    Array.from({ length: steps }, (_, i) => ({ warmUp, interval: i + 1 })),
  )
    .flat()
    .filter(options => taylorseerPlan(steps, options).filter(d => d === 'compute').length === computed)
    .sort((a, b) => Math.abs(a.warmUp - USUAL_WARM_UP) - Math.abs(b.warmUp - USUAL_WARM_UP) || a.interval - b.interval);
  const [best] = candidates;
  if (best) return best;
  throw new UsageError(`TaylorSeer cannot compute ${computed} of ${steps} steps.`, {
    hint: 'It needs at least two computed steps.',
  });
}
