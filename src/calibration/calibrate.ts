import { predictorOf } from '../cache/ertacache';
import type { RectifyForm } from '../cache/rectify';
import { type SiteName, site } from '../cache/sites';
import { adjustGrid, type TimestepForm } from '../cache/time-grid';
import { PolicyError, UsageError } from '../errors';
import type { Job, Pipeline } from '../pipelines/pipeline';
import { fitRectification, fitTrust, type Granularity } from './fit';
import { type Pair, type Policy, scheduleOf } from './policy-data';
import { type Reference, referenceRun } from './reference';
import { computedSteps, inTurn, type Schedule, walk, walksAtMost, walkToBudget } from './walk';

/** How the schedule is found: by the paper's threshold, for a number of computed steps, or given. */
export type ScheduleRequest =
  | { readonly lambda: number }
  | { readonly computed: number }
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

/** Fewer steps leave nothing between a first and a last step that must be computed. */
const LEAST_STEPS = 4;

/** The most forward passes that calibration costs, counted in steps of one pair. */
export function calibrationForwards(o: CalibrateOptions): number {
  const walks = 'computed' in o.schedule ? walksAtMost : 'lambda' in o.schedule ? 1 : 0;
  const fits = Number((o.timestep ?? 'off') !== 'off') + Number((o.rectify ?? 'off') !== 'off');
  return o.pairs.length * o.steps * (1 + walks + fits);
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
  const total = calibrationForwards(options);
  let done = 0;
  const onStep = (): void | Promise<void> => {
    done += options.pairs.length;
    return options.onProgress?.(done, total);
  };
  const jobs = await prepareJobs(pipeline, options);
  const found = site(options.site ?? 'hidden');
  const predictor = predictorOf(options.taylor);
  const references: Reference[] = [];
  try {
    for (const [i, job] of jobs.entries()) {
      // Progress is counted for all jobs together: the last one reports for them.
      references.push(await referenceRun(job, found, { signal, ...(i === jobs.length - 1 && { onStep }) }));
    }
    const walking = { site: found, predictor, signal, onStep };
    const schedule = await findSchedule(references, options.schedule, walking);
    requireUseful(schedule, options.schedule);

    const { sigmas } = jobs[0] as Job;
    const following = { ...walking, reused: schedule.reused };
    const form = options.timestep ?? 'off';
    const phi = form === 'off' ? [] : await fitTrust(references, following);
    const adjusted = adjustGrid(sigmas, schedule.reused, phi, form);
    const { rectify } = await fitRectification(references, options.rectify ?? 'off', options.granularity ?? 'scalar', {
      ...following,
      sigmas: adjusted,
    });
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
        search: 'reused' in options.schedule ? { method: 'given' } : { method: 'walk', lambda: schedule.lambda },
        calibration: { pairs: [...options.pairs], forwards: done },
        measured: {},
      },
    };
  } finally {
    for (const reference of references) reference.dispose();
    for (const job of jobs) job.release();
  }
}

/** The calibration pairs as jobs of `batch` rows. */
async function prepareJobs(
  pipeline: Pipeline,
  { pairs, steps, guidance, batch = 8 }: CalibrateOptions,
): Promise<Job[]> {
  const groups = Array.from({ length: Math.ceil(pairs.length / batch) }, (_, i) =>
    pairs.slice(i * batch, (i + 1) * batch),
  );
  return inTurn(groups, group =>
    pipeline.prepare({ prompts: group.map(p => p.prompt), seeds: group.map(p => p.seed), guidance, steps }),
  );
}

async function findSchedule(
  references: readonly Reference[],
  request: ScheduleRequest,
  walking: Parameters<typeof walk>[2],
): Promise<Schedule> {
  if ('reused' in request) return { reused: request.reused, errors: [], lambda: Number.NaN };
  if ('lambda' in request) return walk(references, request.lambda, walking);
  return walkToBudget(references, request.computed, walking);
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
