import { predictorOf } from '../cache/ertacache';
import type { Familiar } from '../cache/familiar';
import type { Rectification, RectifyForm } from '../cache/rectify';
import { type SiteName, site } from '../cache/sites';
import { adjustedLevels, type TimestepForm } from '../cache/time-grid';
import { PolicyError, UnsupportedError, UsageError } from '../errors';
import { requireObject, wrongArgument } from '../io/arguments';
import { computedSteps, type PolicyData, scheduleOf } from '../policy/data';
import type { Job } from '../sampling/pipeline';
import { type FitAllOptions, type FitOptions, fitRectification, fitTrust, type Granularity } from './fit';
import { across } from './in-turn';
import { requireMovable } from './jobs';
import { DEFAULT_WORST_WEIGHT } from './quality';
import { type Reference, referenceRun } from './reference';
import { requireReferenceMemory } from './reference-memory';
import {
  type Searched,
  type SearchMethod,
  schedulesAtMost,
  searchBudgets,
  searchSchedule,
  triedAtMost,
} from './search/search';
import { walk, walksAtMost } from './search/walk';

/** How the schedule is found: by the paper's threshold, for a number of computed steps, or given. */
export type ScheduleRequest =
  /** The paper's threshold λ: steps whose relative error is below it are reused. */
  | { readonly lambda: number }
  /** This many computed steps, searched by `search` (`dp` unless given); `anneal` and `solver` try `trials` more. */
  | { readonly computed: number; readonly search?: SearchMethod | undefined; readonly trials?: number | undefined }
  /** Several numbers of computed steps, searched in one go: the policy holds a policy of each; see `Policy.budgets`. */
  | {
      readonly budgets: readonly number[];
      readonly search?: Exclude<SearchMethod, 'walk'> | undefined;
      readonly trials?: number | undefined;
    }
  /** `true` where a step is reused. */
  | { readonly reused: readonly boolean[] };

/** What is calibrated, whoever's model it is calibrated for. */
export interface MethodOptions {
  /** Name of the method in policies and reports; `ertacache` unless given. */
  readonly name?: string | undefined;
  /** Which steps are reused, or how that is found. */
  readonly schedule: ScheduleRequest;
  /** Where the residual is taken; `velocity` unless given. */
  readonly site?: SiteName | undefined;
  /** Strength of Taylor extrapolation of the residual, 0 to 1; 0 unless given. */
  readonly taylor?: number | undefined;
  /** How the step lengths answer to reuse; `off` unless given. */
  readonly timestep?: TimestepForm | undefined;
  /** How rebuilt outputs are corrected; `lsq`, the least-squares combination, unless given. */
  readonly rectify?: RectifyForm | undefined;
  /** Coefficients of `linear` and `sigmoid`: one for all, or one a channel; `scalar` unless given. */
  readonly granularity?: Granularity | undefined;
  /**
   * What the worst eighth of the calibration pairs counts when a schedule is chosen, beside their mean, which counts 1;
   * `DEFAULT_WORST_WEIGHT` unless given. It counts from more than 32 rows on, and in full from 96.
   */
  readonly worstWeight?: number | undefined;
  /** Forward passes done so far and at most, counted in steps of one row. */
  readonly onProgress?: ((done: number, total: number) => void | Promise<void>) | undefined;
  /** Stops the work between two steps, with an InterruptedError. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The search whose policies kept the worst picture best where they were compared. Local search gained some dB of the
 * mean and lost more on the worst picture.
 */
export const DEFAULT_SEARCH: SearchMethod = 'dp';
/** The correction that gave the best policies on every model it was tried on. */
export const DEFAULT_RECTIFY: RectifyForm = 'lsq';

/** Fewer steps leave nothing between a first and a last step that must be computed. */
const LEAST_STEPS = 4;

/** The most forward passes that a calibration on `rows` runs of `steps` steps costs, counted in steps of one row. */
export function forwardsAtMost(rows: number, steps: number, o: MethodOptions): number {
  const { rectify = DEFAULT_RECTIFY, timestep = 'off' } = o;
  const fits = Number(timestep !== 'off') + Number(rectify !== 'off');
  const whole = rows * steps;
  if ('reused' in o.schedule) return whole * (1 + fits);
  if ('lambda' in o.schedule) return whole * (2 + fits);
  const { search = DEFAULT_SEARCH, trials } = o.schedule;
  // Judging a schedule costs its computed steps only, unless the correction needs the truth at reused ones.
  const judged = (computed: number): number => (rectify === 'linear' || rectify === 'sigmoid' ? steps : computed);
  const searched =
    'budgets' in o.schedule
      ? triedAtMost(search, o.schedule.budgets, steps, trials).reduce(
          (sum, { computed, schedules }) => sum + judged(computed) * schedules,
          0,
        )
      : search === 'walk'
        ? steps * walksAtMost
        : judged(o.schedule.computed) * schedulesAtMost(search, trials);
  // What the search has fitted need not be fitted again.
  const again =
    search !== 'walk' && isAsSearched(o) ? 0 : fits * ('budgets' in o.schedule ? o.schedule.budgets.length : 1);
  return whole * (1 + again) + rows * searched;
}

/** Whether the search fits the very rectification that was asked for. */
function isAsSearched({ timestep = 'off', granularity = 'scalar' }: MethodOptions): boolean {
  return timestep === 'off' && granularity === 'scalar';
}

/** What calibration decides, with nothing said yet of whose model it is. */
export interface Decided {
  readonly rectify: Rectification;
  readonly data: Pick<
    PolicyData,
    'name' | 'sigmas' | 'schedule' | 'site' | 'taylor' | 'timestep' | 'rectify' | 'search'
  >;
  /** Forward passes that it cost, counted in steps of one row. */
  readonly forwards: number;
  /** What its runs looked like, where guidance tells and they were enough to say. */
  readonly gap?: Familiar | undefined;
}

/**
 * Calibrates ERTACache on jobs of one model, all over the same noise levels (method sections 3 to 5): uncached runs,
 * schedule, trust, rectification, each on the states that the former decisions lead to. Jobs stay the caller's.
 * @param places where the guidance of each job lies in the range that is calibrated; none where all have one guidance
 * @returns one result, or one for every budget that was asked for, with growing numbers of computed steps
 */
export async function decide(
  jobs: readonly Job[],
  options: MethodOptions,
  places: readonly number[] = [],
): Promise<Decided[]> {
  const { signal } = options;
  const { sigmas, takeover } = jobs[0] as Job;
  if (takeover !== undefined) requireAnew(takeover, options);
  if ('search' in options.schedule && options.schedule.search === 'solver') requireFree(jobs[0] as Job, options);
  if ((options.timestep ?? 'off') !== 'off') requireMovable(jobs[0] as Job);
  requireReferenceMemory(jobs);
  const rows = jobs.reduce((sum, job) => sum + (job.latents.shape[0] as number), 0);
  const total = forwardsAtMost(rows, sigmas.length - 1, options);
  let done = 0;
  const onStep = (some = rows): void | Promise<void> => {
    done += some;
    return options.onProgress?.(done, total);
  };
  const found = site(options.site ?? 'velocity');
  const walking = { site: found, predictor: predictorOf(options.taylor), signal, onStep };
  const references: Reference[] = [];
  try {
    // Progress is counted for all jobs together: the last one reports for them.
    const uncached = (job: Job, i: number): Promise<Reference> =>
      referenceRun(job, found, { signal, place: places[i], ...(i === jobs.length - 1 && { onStep }) });
    references.push(...(await across(jobs[0], jobs, uncached, reference => reference.dispose())));
    const searched = await findSchedules(references, options, walking);
    const decided: Omit<Decided, 'forwards'>[] = [];
    for (const each of searched) decided.push(await decideOne(references, each, options, walking));
    return decided.map(each => ({ ...each, forwards: done }));
  } finally {
    for (const reference of references) reference.dispose();
  }
}

/** All that is decided on a schedule. */
async function decideOne(
  references: readonly Reference[],
  searched: Searched,
  options: MethodOptions,
  walking: FitAllOptions,
): Promise<Omit<Decided, 'forwards'>> {
  requireUseful(searched, options.schedule);
  const { reused, tried } = searched;
  const { job } = references[0] as Reference;
  const { sigmas } = job;
  const levels = tried?.levels;
  const following = { ...walking, reused, fromFirst: levels !== undefined };
  const form = options.timestep ?? 'off';
  const phi = form === 'off' ? [] : stable(await fitTrust(references, following), job);
  const timestep = levels ? { form: 'levels' as const, phi: [], levels: [...levels] } : { form, phi };
  const adjusted = adjustedLevels(sigmas, reused, timestep);
  const rectify =
    tried && isAsSearched(options)
      ? tried.rectify
      : await rectification(references, options, { ...following, sigmas: adjusted });
  const gap = seenGap(references, reused);
  return {
    rectify,
    ...(gap && { gap }),
    data: {
      name: options.name ?? 'ertacache',
      sigmas: [...sigmas],
      schedule: scheduleOf(reused),
      site: walking.site.name,
      taylor: options.taylor ?? 0,
      timestep,
      rectify: { form: rectify.form },
      search: provenance(options, searched),
    },
  };
}

/**
 * Refuses what no run of `steps` steps can have, before anything is computed.
 * @throws UsageError
 */
export function requirePossible(schedule: ScheduleRequest, steps: number): void {
  const wanted = 'one of { computed }, { budgets }, { lambda } and { reused }';
  requireObject('schedule', schedule, wanted);
  if (!('lambda' in schedule || 'computed' in schedule || 'budgets' in schedule || 'reused' in schedule)) {
    throw wrongArgument('schedule', schedule, wanted);
  }
  if (steps < LEAST_STEPS) {
    throw new UsageError(`Calibration needs at least ${LEAST_STEPS} steps; ${steps} were asked for.`);
  }
  if ('lambda' in schedule) {
    if (!(schedule.lambda > 0)) throw new UsageError(`λ must be larger than 0; ${schedule.lambda} was given.`);
  } else if ('computed' in schedule || 'budgets' in schedule) {
    const budgets = 'computed' in schedule ? [schedule.computed] : schedule.budgets;
    if (!Array.isArray(budgets) || budgets.length === 0) {
      throw wrongArgument('budgets', budgets, 'a list of numbers of computed steps');
    }
    for (const computed of budgets) {
      if (Number.isInteger(computed) && computed >= 1 && computed < steps) continue;
      throw new UsageError(`${computed} of ${steps} steps cannot be the computed ones.`, {
        hint: `Ask for a whole number from 1 to ${steps - 1}.`,
      });
    }
  } else if (schedule.reused.length !== steps) {
    throw new UsageError(`The schedule has ${schedule.reused.length} steps, and the run has ${steps}.`);
  } else if (schedule.reused[0]) {
    throw new UsageError('The first step of a schedule must be computed: there is nothing to reuse yet.');
  }
}

/**
 * Refuses what would have the second of two models reuse what the first has made.
 * @param step at which the second takes over
 */
function requireAnew(step: number, { schedule, timestep = 'off' }: MethodOptions): void {
  if ('reused' in schedule && schedule.reused[step]) {
    throw new UsageError(`Step ${step + 1} of the schedule must be computed: another transformer takes over there.`);
  }
  const computed =
    'computed' in schedule ? schedule.computed : 'budgets' in schedule ? Math.max(...schedule.budgets) : 2;
  if (computed < 2) {
    throw new UsageError('Each of the two transformers must compute a step; 1 was asked for in all.');
  }
  if (timestep !== 'off') {
    throw new UnsupportedError(
      'An adjustment of the steps would move the one at which another transformer takes over.',
      {
        hint: 'Calibrate with --timestep off (timestep).',
      },
    );
  }
}

/** Refuses to move noise levels where nothing can be fitted to the path between them. */
function requireFree(job: Job, { rectify = DEFAULT_RECTIFY, timestep = 'off' }: MethodOptions): void {
  const other = { hint: 'Take the search dp (--search dp).' };
  if (rectify !== 'lsq') throw new UsageError(`The search solver fits the correction lsq, not ${rectify}.`, other);
  if (timestep !== 'off') throw new UsageError('The search solver moves the steps itself: leave timestep off.', other);
  const solver = job.solver();
  const aims = solver.aim !== undefined;
  solver.dispose();
  if (aims && job.takeover === undefined) return;
  throw new UnsupportedError('The search solver needs a sampler of single steps and one transformer.', other);
}

/**
 * Least trust in a step of a multistep sampler. Its update divides by the distance to former steps: next to a step of
 * almost no length the difference of two outputs is blown up until the run diverges.
 */
const LEAST_MULTISTEP_TRUST = 0.2;

function stable(phi: readonly number[], job: Job): number[] {
  const solver = job.solver();
  const least = solver.aim ? 0 : LEAST_MULTISTEP_TRUST;
  solver.dispose();
  return phi.map(trust => Math.max(trust, least));
}

async function rectification(
  references: readonly Reference[],
  { rectify: form = DEFAULT_RECTIFY, granularity = 'scalar' }: MethodOptions,
  following: FitOptions,
): Promise<Rectification> {
  if (form === 'off') return { form };
  return (await fitRectification(references, form, granularity, following)).rectify;
}

async function findSchedules(
  references: readonly Reference[],
  { schedule, rectify = DEFAULT_RECTIFY, worstWeight }: MethodOptions,
  walking: FitAllOptions,
): Promise<readonly Searched[]> {
  if ('reused' in schedule) return [{ reused: schedule.reused, lambda: Number.NaN }];
  if ('lambda' in schedule) return [await walk(references, schedule.lambda, walking)];
  const options = { ...walking, rectify, trials: schedule.trials, worstWeight };
  if ('budgets' in schedule) {
    const { takeover } = (references[0] as Reference).job;
    // Each of two models has to compute a step.
    const least = takeover === undefined ? 1 : 2;
    const growing = [...new Set(schedule.budgets)].filter(computed => computed >= least).sort((a, b) => a - b);
    return searchBudgets(references, schedule.search ?? 'dp', growing, options);
  }
  return [await searchSchedule(references, schedule.search ?? DEFAULT_SEARCH, schedule.computed, options)];
}

/** Of fewer runs the least and the most say little about others. */
const LEAST_SEEN = 16;

/** How far guidance's outputs lay apart at the last step before one is reused. */
function seenGap(references: readonly Reference[], reused: readonly boolean[]): Familiar | undefined {
  const step = reused.indexOf(true) - 1;
  const gaps = references.flatMap(r => r.gaps[step] ?? []);
  return gaps.length < LEAST_SEEN ? undefined : { step, from: Math.min(...gaps), to: Math.max(...gaps) };
}

/** How a schedule was found, for the policy file. */
function provenance({ schedule, worstWeight = DEFAULT_WORST_WEIGHT }: MethodOptions, { lambda }: Searched) {
  if ('reused' in schedule) return { method: 'given' };
  const method = 'lambda' in schedule ? 'walk' : (schedule.search ?? DEFAULT_SEARCH);
  return { method, ...(lambda > 0 && { lambda }), ...(method !== 'walk' && { worstWeight }) };
}

function requireUseful({ reused }: Searched, request: ScheduleRequest): void {
  if (!('lambda' in request)) return;
  const computed = computedSteps(reused);
  if (computed === reused.length) {
    throw new PolicyError(`λ = ${request.lambda} reuses no step: every step changes by more.`, {
      hint: 'Give a larger lambda (--lambda), or a number of computed steps (--target-speedup).',
    });
  }
  if (computed === 1) {
    throw new PolicyError(`λ = ${request.lambda} reuses every step but the first.`, {
      hint: 'Give a smaller lambda (--lambda), or a number of computed steps (--target-speedup).',
    });
  }
}
