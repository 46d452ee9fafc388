import { UsageError } from '../errors';
import { type ErtaSettings, ertacache } from './ertacache';
import { fewerSteps } from './fewer-steps';
import { firstBlock } from './first-block';
import type { HistoryFit } from './l2p';
import { magcache, magcachePlan } from './magcache';
import { none } from './none';
import type { CachePolicy } from './policy';
import { seacache } from './seacache';
import { type TaylorSeerOptions, taylorseer } from './taylorseer';
import { teacache } from './teacache';
import { type NamedSchedule, uniform } from './uniform';
import {
  type Budget,
  dmdVariants,
  hicacheVariants,
  l2pVariants,
  magcacheVariants,
  meancacheVariants,
  spectrumVariants,
  taylorseerPlans,
  taylorseerVariants,
  uniformVariants,
  type Variant,
  zeusVariants,
} from './variants';

export type { Budget, Variant } from './variants';

/** What some methods need to know of a model, measured once (`src/calibration/baselines.ts`). */
export interface ModelFacts {
  /** TeaCache's polynomial, highest power first. */
  readonly polynomial: readonly number[];
  /** MagCache's magnitude ratios. */
  readonly ratios: readonly number[];
  /** L2P's weights of former outputs, by how they were fitted. */
  readonly history: readonly HistoryFit[];
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
  /**
   * The settings that its authors leave open, each at the budget: `compare` takes the one that does best on the
   * calibration pairs.
   * @param budget steps of the run, and how many may be computed
   * @returns at least one setting
   */
  variants?(budget: Budget): readonly Variant[];
}

/** A method whose settings are chosen among several, by what is measured on the model. */
export interface ChosenMethod extends Described {
  /** Needs a budget, facts and calibration pairs. */
  readonly kind: 'chosen';
  /** The fact about a model that it needs. */
  readonly needs?: keyof ModelFacts;
  /** Is also given the schedule that ERTACache's search finds. */
  readonly usesSearched?: boolean;
  /**
   * The settings to choose from.
   * @param budget steps of the run, and how many may be computed
   * @param facts what was measured on the model
   * @param searched schedules that were searched on the calibration pairs; none unless `usesSearched`
   * @returns the settings; none where the budget cannot be met
   */
  variants(budget: Budget, facts: ModelFacts, searched: readonly NamedSchedule[]): readonly Variant[];
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
  /**
   * The settings that meet a budget exactly, where they can be listed without running the model: `compare` takes the one
   * that does best on the calibration pairs.
   * @param budget steps of the run, and how many may be computed
   * @param facts what was measured on the model
   * @returns the settings; none where no threshold meets the budget
   */
  variants?(budget: Budget, facts: ModelFacts): readonly Variant[];
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
export type Method = ScheduledMethod | ThresholdMethod | ChosenMethod | CalibratedMethod;

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
    variants: uniformVariants,
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
    name: 'seacache',
    title: 'SeaCache',
    summary: 'TeaCache on an input that is filtered for what is picture at its noise level, without a polynomial.',
    source: 'arXiv 2602.18993',
    kind: 'threshold',
    dynamic: true,
    range: RELATIVE_CHANGES,
    create: threshold => seacache({ threshold }),
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
    variants: (budget, { ratios }) => magcacheVariants(budget, ratios),
  },
  {
    name: 'taylorseer',
    title: 'TaylorSeer',
    summary: 'Predicts the attention of most steps from finite differences; the rest of every block runs.',
    source: 'arXiv 2503.06923',
    kind: 'scheduled',
    dynamic: false,
    create: budget => taylorseer(taylorseerFor(budget)),
    variants: budget => taylorseerVariants(budget, false),
  },
  {
    name: 'taylorseer-lite',
    title: 'TaylorSeer lite',
    summary: 'Predicts the output of most steps from finite differences and runs no block.',
    source: 'arXiv 2503.06923',
    kind: 'scheduled',
    dynamic: false,
    create: budget => taylorseer({ ...taylorseerFor(budget), lite: true }),
    variants: budget => taylorseerVariants(budget, true),
  },
  {
    name: 'hicache',
    title: 'HiCache',
    summary: 'Predicts the output by contracted Hermite polynomials in place of powers; its sign is corrected.',
    source: 'arXiv 2508.16984',
    kind: 'chosen',
    dynamic: false,
    variants: hicacheVariants,
  },
  {
    name: 'spectrum',
    title: 'Spectrum',
    summary: 'Fits all outputs so far by Chebyshev polynomials with a ridge, and reads the fit at the step.',
    source: 'arXiv 2603.01623',
    kind: 'chosen',
    dynamic: false,
    variants: spectrumVariants,
  },
  {
    name: 'zeus',
    title: 'ZEUS',
    summary: 'Extrapolates every second reused step from the last two outputs and repeats the last one at the others.',
    source: 'arXiv 2604.01552',
    kind: 'chosen',
    dynamic: false,
    variants: zeusVariants,
  },
  {
    name: 'dmd',
    title: 'DMD',
    summary: 'Predicts the output by dynamic mode decomposition of the last ones, each picture by itself.',
    source: 'cache-dit',
    kind: 'chosen',
    dynamic: false,
    variants: dmdVariants,
  },
  {
    name: 'meancache',
    title: 'MeanCache',
    summary: 'Reuses average velocities, whose derivative earlier steps tell, on an even or our searched schedule.',
    source: 'arXiv 2601.19961',
    kind: 'chosen',
    dynamic: false,
    usesSearched: true,
    variants: (budget, _facts, searched) => meancacheVariants(budget, searched),
  },
  {
    name: 'l2p',
    title: 'L2P',
    summary: 'Predicts the output from all before it, by weights fitted on uncached runs; the closest prior art.',
    source: 'arXiv 2604.26365',
    kind: 'chosen',
    dynamic: false,
    needs: 'history',
    usesSearched: true,
    variants: (budget, { history }, searched) => l2pVariants(budget, history, searched),
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
    title: 'ERTACache as published, global timestep',
    summary: 'One reading of the paper: threshold walk, scalar rectification, time moved to all later steps.',
    source: 'arXiv 2508.21091',
    kind: 'calibrated',
    dynamic: false,
    create: ertacache,
  },
  {
    name: 'ertacache-paper-untimed',
    title: 'ERTACache as published, no timestep',
    summary: 'The other reading: threshold walk and scalar rectification, without the timestep adjustment.',
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

/**
 * Warm-up and interval with which TaylorSeer computes exactly `computed` of `steps` steps: the warm-up nearest to the
 * usual one, then the shortest interval.
 */
export function taylorseerFor(budget: Budget): TaylorSeerOptions {
  const [best] = taylorseerPlans(budget);
  if (best) return best;
  throw new UsageError(`TaylorSeer cannot compute ${budget.computed} of ${budget.steps} steps.`, {
    hint: 'It needs at least two computed steps.',
  });
}
