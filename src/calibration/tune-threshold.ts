import type { CachePolicy } from '../cache/policy';
import type { Budget, ModelFacts, ScheduledMethod, ThresholdMethod } from '../cache/registry';
import { UsageError } from '../errors';
import { mean } from '../metrics/statistics';
import type { Job } from '../sampling/pipeline';
import { type LoopOptions, type StepRecord, sampleLoop } from '../sampling/sample-loop';
import { across } from './in-turn';

/** What runs cost on average. */
export interface Cost {
  /** Computed steps; a step that some guidance branches computed counts for their share. */
  readonly computed: number;
  /** Forward passes, what reused steps cost included. */
  readonly forwards: number;
}

export interface Tuned extends Cost {
  readonly threshold: number;
  /** Forward passes that tuning cost, over all rows. */
  readonly spent: number;
}

export interface TuneOptions {
  /** Where to search. */
  readonly range: readonly [number, number];
  /** What `target` counts; computed steps unless given. */
  readonly count?: keyof Cost | undefined;
  /** How near is near enough, in steps; a quarter unless given. */
  readonly tolerance?: number | undefined;
  /** Thresholds tried at most; 16 unless given. */
  readonly maxTries?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told every threshold that was tried and what it cost. */
  readonly onTry?: ((threshold: number, cost: Cost, pairs: number) => void) | undefined;
}

/** Jobs that the threshold is first found on, before all of them are run. */
const SCOUTS = 2;
/** How near the scouts must come, in steps. */
const SCOUT_TOLERANCE = 1;

/**
 * The threshold at which a policy's runs cost `target` on average, by a search over its logarithm: a larger threshold
 * costs less. A policy that decides on a batch as one is what it is for a user only on one picture at a time, so every
 * job has one row; to keep that cheap, two jobs find the neighbourhood and all of them the threshold.
 * @returns the threshold whose mean came nearest, which may be off by more than the tolerance where no threshold meets it
 */
export async function tuneThreshold(
  jobs: readonly Job[],
  policyAt: (threshold: number) => CachePolicy,
  target: number,
  options: TuneOptions,
): Promise<Tuned> {
  requireSingles(jobs);
  const { count = 'computed', tolerance = 0.25, maxTries = 16 } = options;
  let spent = 0;
  let tries = 0;
  const costOn = (some: readonly Job[]) => async (threshold: number) => {
    tries++;
    const cost = meanCost(await across(some[0], some, job => costOf(job, policyAt(threshold), options)));
    spent += cost.forwards * some.length;
    options.onTry?.(threshold, cost, some.length);
    return { threshold, cost, excess: cost[count] - target };
  };
  const scouts = jobs.slice(0, SCOUTS);
  if (scouts.length === jobs.length) {
    const { best } = await search(costOn(jobs), { range: options.range }, tolerance, maxTries);
    return { threshold: best.threshold, ...best.cost, spent };
  }
  const near = await search(
    costOn(scouts),
    { range: options.range },
    Math.max(SCOUT_TOLERANCE, tolerance),
    Math.ceil(maxTries / 2),
  );
  const { best } = await search(
    costOn(jobs),
    { range: options.range, start: near.best.threshold, steepness: near.steepness ?? target / 2 },
    tolerance,
    Math.max(1, maxTries - tries),
  );
  return { threshold: best.threshold, ...best.cost, spent };
}

interface Trial {
  readonly threshold: number;
  readonly cost: Cost;
  /** Above the target when positive: the threshold is too small. */
  readonly excess: number;
}

interface SearchFrom {
  readonly range: readonly [number, number];
  /** The middle of the range unless given. */
  readonly start?: number;
  /** How many steps fewer an e times larger threshold is likely to cost. */
  readonly steepness?: number | undefined;
}

/** An estimate is overshot by this, so that the next trial lies on the other side. */
const OVERSHOOT = 1.2;

/**
 * Closes in on the threshold without excess: between a threshold known to be too small and one too large by
 * interpolation, and every third time in the middle, for steps in the cost; beyond a single known one as far as
 * `steepness` says, or half-way to the end of the range.
 */
async function search(
  measure: (threshold: number) => Promise<Trial>,
  { range, start, steepness }: SearchFrom,
  tolerance: number,
  tries: number,
): Promise<{ best: Trial; steepness?: number | undefined }> {
  const [least, most] = range.map(Math.log) as [number, number];
  let small: Trial | undefined;
  let large: Trial | undefined;
  let place = start === undefined ? (least + most) / 2 : Math.log(start);
  let best: Trial | undefined;
  for (let n = 1; n <= tries; n++) {
    const trial = await measure(Math.exp(place));
    if (!best || Math.abs(trial.excess) < Math.abs(best.excess)) best = trial;
    if (trial.excess > 0) small = trial;
    else large = trial;
    if (Math.abs(best.excess) <= tolerance) break;
    if (small && large) {
      const share = n % 3 === 0 ? 0.5 : clamped(small.excess / (small.excess - large.excess), 0.1, 0.9);
      place = Math.log(small.threshold) + share * Math.log(large.threshold / small.threshold);
    } else if (steepness) {
      place = clamped(place + (OVERSHOOT * trial.excess) / steepness, least, most);
    } else {
      place = (place + (small ? most : least)) / 2;
    }
  }
  return { best: best as Trial, steepness: steepnessOf(small, large) };
}

function steepnessOf(small: Trial | undefined, large: Trial | undefined): number | undefined {
  if (!small || !large) return undefined;
  const steepness = (small.excess - large.excess) / Math.log(large.threshold / small.threshold);
  return steepness > 0 && Number.isFinite(steepness) ? steepness : undefined;
}

const clamped = (x: number, least: number, most: number): number => Math.min(most, Math.max(least, x));

/** What one run costs. */
async function costOf(job: Job, policy: CachePolicy, { signal }: LoopOptions): Promise<Cost> {
  const sigmas = policy.adjust?.(job.sigmas) ?? job.sigmas;
  const { latents, steps } = await sampleLoop({ ...job, solver: job.solver(sigmas) }, policy, { signal });
  latents.dispose();
  return runCost(steps);
}

/** What a run's records say that it cost. */
export function runCost(steps: readonly StepRecord[]): Cost {
  const total = (of: (step: StepRecord) => number): number => steps.reduce((sum, step) => sum + of(step), 0);
  return {
    computed: total(s => s.decisions.filter(d => d === 'compute').length / s.decisions.length),
    forwards: total(s => s.forwards),
  };
}

function meanCost(costs: readonly Cost[]): Cost {
  return { computed: mean(costs.map(c => c.computed)), forwards: mean(costs.map(c => c.forwards)) };
}

function requireSingles(jobs: readonly Job[]): void {
  if (jobs.length === 0) throw new UsageError('Tuning a threshold needs at least one prompt.');
  if (jobs.some(job => job.latents.shape[0] !== 1)) {
    throw new UsageError('Thresholds are tuned on jobs of one prompt each.', {
      hint: 'A batch is decided on as one, which is not what a single picture would get.',
    });
  }
}

/** A method made for a budget, and what it cost on the calibration pairs where that had to be tried. */
export interface AtBudget {
  readonly policy: CachePolicy;
  readonly tuned?: Tuned;
}

/**
 * A method with exactly or, where it depends on a threshold, nearly `budget.computed` computed steps.
 * @param jobs calibration pairs, one row each; run only where the decisions depend on the picture
 */
export async function methodAtBudget(
  method: ScheduledMethod | ThresholdMethod,
  budget: Budget,
  jobs: readonly Job[],
  facts: ModelFacts,
  options: Omit<TuneOptions, 'range'> = {},
): Promise<AtBudget> {
  if (method.kind === 'scheduled') return { policy: method.create(budget) };
  const tuned = await thresholdAtBudget(method, budget, jobs, facts, options);
  return { policy: method.create(tuned.threshold, facts), tuned };
}

/** The threshold alone. */
export async function thresholdAtBudget(
  method: ThresholdMethod,
  budget: Budget,
  jobs: readonly Job[],
  facts: ModelFacts,
  options: Omit<TuneOptions, 'range'> = {},
): Promise<Tuned> {
  return method.computedSteps
    ? plannedThreshold(method, budget, facts)
    : tuneThreshold(jobs, t => method.create(t, facts), budget.computed, { ...options, range: method.range });
}

/** Enough halvings to tell any two thresholds of a range apart. */
const PLANNED_TRIES = 48;

async function plannedThreshold(method: ThresholdMethod, budget: Budget, facts: ModelFacts): Promise<Tuned> {
  const measure = async (threshold: number): Promise<Trial> => {
    const computed = method.computedSteps?.(threshold, budget.steps, facts) as number;
    return { threshold, cost: { computed, forwards: computed }, excess: computed - budget.computed };
  };
  const { best } = await search(measure, { range: method.range }, 0, PLANNED_TRIES);
  return { threshold: best.threshold, ...best.cost, spent: 0 };
}
