import { predictorOf } from '../cache/ertacache';
import type { Rectification, RectifyForm } from '../cache/rectify';
import { type SiteName, site } from '../cache/sites';
import { adjustGrid, type TimestepForm } from '../cache/time-grid';
import { PolicyError, UsageError } from '../errors';
import type { Job, Pipeline } from '../pipelines/pipeline';
import { type FitOptions, fitRectification, fitTrust, type Granularity } from './fit';
import { batches } from './pairs';
import { type Pair, type Policy, scheduleOf } from './policy-data';
import { type Reference, referenceRun } from './reference';
import { type SearchMethod, schedulesAtMost, searchSchedule } from './search';
import { computedSteps, type Schedule, walk, walksAtMost } from './walk';

/** How the schedule is found: by the paper's threshold, for a number of computed steps, or given. */
export type ScheduleRequest =
  | { readonly lambda: number }
  | { readonly computed: number; readonly search?: SearchMethod; readonly trials?: number }
  | { readonly reused: readonly boolean[] };

export interface CalibrateOptions {
  /** Name of the method in reports. */
  readonly name?: string;
  readonly pairs: readonly Pair[];
  readonly steps: number;
  readonly guidance: number;
  readonly schedule: ScheduleRequest;
  readonly site?: SiteName;
  /** Strength of Taylor extrapolation of the residual; 0 unless given. */
  readonly taylor?: number;
  readonly timestep?: TimestepForm;
  readonly rectify?: RectifyForm;
  readonly granularity?: Granularity;
  /** How many pairs run at a time. */
  readonly batch?: number;
  /** Forward passes done so far, in steps of one pair, and at most. */
  readonly onProgress?: (done: number, total: number) => void | Promise<void>;
  readonly signal?: AbortSignal;
}

/** The search that gave the best policies on every model it was tried on. */
export const DEFAULT_SEARCH: SearchMethod = 'anneal';

/** Fewer steps leave nothing between a first and a last step that must be computed. */
const LEAST_STEPS = 4;

/** The most forward passes that calibration costs, counted in steps of one pair. */
export function calibrationForwards(o: CalibrateOptions): number {
  const fits = Number((o.timestep ?? 'off') !== 'off') + Number((o.rectify ?? 'off') !== 'off');
  const whole = o.pairs.length * o.steps;
  if ('reused' in o.schedule) return whole * (1 + fits);
  if ('lambda' in o.schedule) return whole * (2 + fits);
  const { computed, search = DEFAULT_SEARCH, trials } = o.schedule;
  const walks = search === 'dp' ? 0 : walksAtMost;
  // Judging a schedule costs its computed steps only, unless the correction needs the truth at reused ones.
  const judged = o.rectify === 'linear' || o.rectify === 'sigmoid' ? o.steps : computed;
  return whole * (1 + walks + fits) + o.pairs.length * judged * schedulesAtMost(search, trials);
}

/**
 * Calibrates ERTACache for one model, step count and guidance (method sections 3 to 5): uncached runs, schedule,
 * trust, rectification, each on the states that the former decisions lead to.
 * @returns the policy; `measured` is empty until it is measured
 */
export async function calibrate(pipeline: Pipeline, options: CalibrateOptions): Promise<Policy> {
  const { steps, guidance, signal } = options;
  if (steps < LEAST_STEPS) {
    throw new UsageError(`Calibration needs at least ${LEAST_STEPS} steps; ${steps} were asked for.`);
  }
  if (options.pairs.length === 0) throw new UsageError('Calibration needs at least one prompt.');
  requirePossible(options.schedule, steps);
  const total = calibrationForwards(options);
  let done = 0;
  const onStep = (): void | Promise<void> => {
    done += options.pairs.length;
    return options.onProgress?.(done, total);
  };
  const found = site(options.site ?? 'velocity');
  const predictor = predictorOf(options.taylor);
  const jobs: Job[] = [];
  const references: Reference[] = [];
  try {
    for (const group of batches(options.pairs, options.batch ?? 8)) {
      const [prompts, seeds] = [group.map(p => p.prompt), group.map(p => p.seed)];
      jobs.push(await pipeline.prepare({ prompts, seeds, guidance, steps }));
    }
    for (const [i, job] of jobs.entries()) {
      // Progress is counted for all jobs together: the last one reports for them.
      references.push(await referenceRun(job, found, { signal, ...(i === jobs.length - 1 && { onStep }) }));
    }
    const walking = { site: found, predictor, signal, onStep };
    const schedule = await findSchedule(references, options, walking);
    requireUseful(schedule, options.schedule);

    const { sigmas } = jobs[0] as Job;
    const following = { ...walking, reused: schedule.reused };
    const form = options.timestep ?? 'off';
    const phi = form === 'off' ? [] : stable(await fitTrust(references, following), jobs[0] as Job);
    const adjusted = adjustGrid(sigmas, schedule.reused, phi, form);
    const rectify = await rectification(references, options, { ...following, sigmas: adjusted });
    return {
      rectify,
      data: {
        format: 'ertacache-policy',
        version: 1,
        name: options.name ?? 'ertacache',
        model: { id: pipeline.info.id, hash: pipeline.info.hash, class: pipeline.info.modelClass },
        scheduler: pipeline.info.schedulerClass,
        guidance,
        sigmas: [...sigmas],
        schedule: scheduleOf(schedule.reused),
        site: found.name,
        taylor: options.taylor ?? 0,
        timestep: { form, phi },
        rectify: { form: rectify.form },
        search: provenance(options.schedule, schedule),
        calibration: { pairs: [...options.pairs], forwards: done },
        measured: {},
      },
    };
  } finally {
    for (const reference of references) reference.dispose();
    for (const job of jobs) job.release();
  }
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
  { rectify: form = 'off', granularity = 'scalar' }: CalibrateOptions,
  following: FitOptions,
): Promise<Rectification> {
  if (form === 'off') return { form };
  return (await fitRectification(references, form, granularity, following)).rectify;
}

/** Refuses a schedule that no run of `steps` steps can have, before anything is computed. */
function requirePossible(schedule: ScheduleRequest, steps: number): void {
  if ('lambda' in schedule) {
    if (!(schedule.lambda > 0)) throw new UsageError(`λ must be larger than 0; ${schedule.lambda} was given.`);
  } else if ('computed' in schedule) {
    const { computed } = schedule;
    if (!Number.isInteger(computed) || computed < 1 || computed >= steps) {
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

async function findSchedule(
  references: readonly Reference[],
  { schedule, rectify = 'off' }: CalibrateOptions,
  walking: Parameters<typeof walk>[2],
): Promise<Schedule> {
  if ('reused' in schedule) return { reused: schedule.reused, errors: [], lambda: Number.NaN };
  if ('lambda' in schedule) return walk(references, schedule.lambda, walking);
  const { computed, search = DEFAULT_SEARCH, trials } = schedule;
  return searchSchedule(references, search, { ...walking, computed, rectify, ...(trials !== undefined && { trials }) });
}

/** How a schedule was found, for the policy file. */
function provenance(request: ScheduleRequest, { lambda }: Schedule): { method: string; lambda?: number } {
  const method = 'reused' in request ? 'given' : 'lambda' in request ? 'walk' : (request.search ?? DEFAULT_SEARCH);
  return { method, ...(lambda > 0 && { lambda }) };
}

function requireUseful({ reused }: Schedule, request: ScheduleRequest): void {
  if (!('lambda' in request)) return;
  const computed = computedSteps(reused);
  if (computed === reused.length) {
    throw new PolicyError(`λ = ${request.lambda} reuses no step: every step changes by more.`, {
      hint: 'Give a larger --lambda, or ask with --target-speedup.',
    });
  }
  if (computed === 1) {
    throw new PolicyError(`λ = ${request.lambda} reuses every step but the first.`, {
      hint: 'Give a smaller --lambda, or ask with --target-speedup.',
    });
  }
}
