import { type GuidanceRange, placeOf } from '../cache/by-guidance';
import { UsageError } from '../errors';
import { isObject, requireList, requireObject, requireSignal, requireWhole, wrongArgument } from '../io/arguments';
import { usualBudget } from '../policy/budget';
import type { Policy } from '../policy/data';
import { lorasOf } from '../policy/loras';
import type { Pair } from '../policy/pair';
import type { Job, Pipeline } from '../sampling/pipeline';
import { type ModelIdentity, UNNAMED } from '../sampling/velocity/identity';
import { velocityJob } from '../sampling/velocity/job';
import { requireTensor } from '../sampling/velocity/require-tensor';
import { schedulerOf, type Times } from '../sampling/velocity/scheduler';
import { guidanceOf, type VelocitySource } from '../sampling/velocity/velocity';
import { DEFAULT_RECTIFY, type Decided, decide, forwardsAtMost, type MethodOptions, requirePossible } from './decide';
import { prepareJobs } from './jobs';
import { requirePairs } from './pairs';

/** How a pipeline is calibrated. */
export interface CalibrateOptions extends MethodOptions {
  /** Prompts and seeds to calibrate on. */
  readonly pairs: readonly Pair[];
  /** Denoising steps of the runs that the policy is for; at least 4. */
  readonly steps: number;
  /** Strength of classifier-free guidance; 1 turns it off. */
  readonly guidance: number;
  /**
   * Makes a policy for every guidance from one to another, `guidance` being among them: the pairs run at several, and the
   * weights of the correction depend on it. With the correction `lsq` only.
   */
  readonly guidanceRange?: GuidanceRange | undefined;
  /** How many pairs run at a time; 8 unless given. */
  readonly batch?: number | undefined;
}

/** One uncached run to calibrate a function on. */
export interface CalibrationRun<Ctx = unknown> {
  /** Starting noise `[B, …]`; stays the caller's. */
  readonly latents: Job['latents'];
  /** What the function gets as its third argument. */
  readonly ctx?: Ctx | undefined;
}

/** How a velocity function is calibrated: the times of its runs are given as noise levels or as a scheduler. */
export type CalibrateVelocityOptions<Ctx = unknown> = MethodOptions &
  Times & {
    /** Runs to calibrate on. 16 rows in all are enough for most models; more cost in proportion. */
    readonly runs: readonly CalibrationRun<Ctx>[];
    /** Whose policy it is. Without it the policy fits any function that has no identity either. */
    readonly model?: ModelIdentity;
    /** Axis of the latent that holds its channels, for corrections by channel; the last unless given. */
    readonly channelAxis?: number;
  };

/**
 * The most forward passes that calibration costs, counted in steps of one pair.
 * @param o the options that `calibrate` will get
 * @returns an upper limit, in forward passes of one row
 */
export function calibrationForwards(o: CalibrateOptions): number {
  return forwardsAtMost(o.pairs.length, o.steps, o);
}

/**
 * Calibrates ERTACache for one model, step count and guidance: runs it uncached, finds which steps can be reused, and
 * fits the correction of what is reused (arXiv 2508.21091; the search and the least-squares correction are this
 * project's).
 * @param pipeline the loaded model; it stays the caller's
 * @param options pairs of prompt and seed, steps, guidance, schedule, and what else is calibrated
 * @returns the policy; `measured` is empty until it is measured
 * @throws UsageError for a schedule that no such run can have, NumericError when the model's output is not finite,
 * InterruptedError when `signal` is aborted
 * @example
 * const policy = await calibrate(pipeline, { pairs, steps: 30, guidance: 3, schedule: { computed: 15 } });
 */
export function calibrate(pipeline: Pipeline, options: CalibrateOptions): Promise<Policy>;
/**
 * The same for any function that predicts a velocity: a LayersModel, a GraphModel, plain operations; whole, in three
 * parts, or as a guided pair.
 * @param velocity the function; starting noise and `ctx` stay the caller's
 * @param options runs to calibrate on, noise levels or a scheduler, schedule, and what else is calibrated
 * @returns the policy; `measured` is empty
 * @throws UsageError for a schedule that no such run can have
 * @throws NumericError when the function's output is not finite
 * @throws InterruptedError when `signal` is aborted
 * @example
 * const policy = await calibrate(velocity, { runs: [{ latents }], sigmas, schedule: { computed: 10 } });
 */
export function calibrate<Ctx>(velocity: VelocitySource<Ctx>, options: CalibrateVelocityOptions<Ctx>): Promise<Policy>;
export function calibrate<Ctx>(
  model: Pipeline | VelocitySource<Ctx>,
  options: CalibrateOptions | CalibrateVelocityOptions<Ctx>,
): Promise<Policy> {
  if (!isObject(model) && typeof model !== 'function') {
    return Promise.reject(wrongArgument('model', model, 'a loaded model or a velocity function'));
  }
  if ('prepare' in model) return calibratePipeline(model as Pipeline, options as CalibrateOptions);
  return calibrateVelocity(model as VelocitySource<Ctx>, options as CalibrateVelocityOptions<Ctx>);
}

async function calibratePipeline(pipeline: Pipeline, options: CalibrateOptions): Promise<Policy> {
  requireObject('options', options, 'an object with pairs, steps, guidance and a schedule');
  const { steps, guidance, pairs } = options;
  requirePairs('pairs', pairs);
  requireWhole('steps', steps, 1);
  requireSignal('signal', options.signal);
  if (!(Number.isFinite(guidance) && guidance >= 0)) throw wrongArgument('guidance', guidance, 'a number from 0');
  if (pairs.length === 0) throw new UsageError('Calibration needs at least one prompt.');
  requirePossible(options.schedule, steps);
  const { guidanceRange, rectify = DEFAULT_RECTIFY } = options;
  if (guidanceRange) requireRange(guidanceRange, guidance, rectify);
  const levels = guidanceRange ? levelsIn(guidanceRange, pairs.length) : [guidance];
  const jobs: Job[] = [];
  const places: number[] = [];
  try {
    for (const [l, level] of levels.entries()) {
      const own = pairs.filter((_, i) => i % levels.length === l);
      const some = await prepareJobs(pipeline, own, { steps, guidance: level, batch: options.batch ?? 8 });
      jobs.push(...some);
      if (guidanceRange) places.push(...some.map(() => placeOf(level, guidanceRange)));
    }
    const decided = await decide(jobs, options, places);
    const { id, hash, modelClass, schedulerClass } = pipeline.info;
    const { steering } = jobs[0] as Job;
    return policyOf(decided, ({ forwards, gap }) => ({
      model: {
        id,
        hash,
        class: modelClass,
        ...lorasOf(pipeline.info),
      },
      scheduler: schedulerClass,
      guidance,
      ...(guidanceRange && { guidanceRange }),
      ...(steering && { steering }),
      calibration: { pairs: [...pairs], forwards, ...(gap && { gap }) },
    }));
  } finally {
    for (const job of jobs) job.release();
  }
}

/** Guidances that a range is calibrated at; the weights have three coefficients each. */
const LEVELS = 5;

/** Guidances of a range, evenly spread over its logarithm, no more than there are pairs. */
function levelsIn({ from, to }: GuidanceRange, pairs: number): number[] {
  const count = Math.min(LEVELS, pairs);
  return Array.from({ length: count }, (_, i) => from * (to / from) ** (count === 1 ? 0.5 : i / (count - 1)));
}

/** @throws UsageError for what is no range, or one that guidance is switched on in the middle of */
function requireRange(range: GuidanceRange, guidance: number, rectify: string): void {
  const { from, to } = range;
  if (!(from > 0 && to > from && guidance >= from && guidance <= to)) {
    throw new UsageError(`Guidance from ${from} to ${to} is no range that has ${guidance} in it.`, {
      hint: 'Give two growing numbers, with the guidance between them.',
    });
  }
  if (from <= 1 && to >= 1) {
    throw new UsageError(`Guidance from ${from} to ${to} has 1 in it, which turns guidance off.`, {
      hint: 'Begin above 1, such as 1.5.',
    });
  }
  if (rectify !== 'lsq') {
    throw new UsageError(`The correction ${rectify} does not depend on guidance.`, { hint: 'Take lsq for a range.' });
  }
}

const HEAD = { format: 'ertacache-policy', version: 1 } as const;

/** Whose policy it is, and what it was calibrated on. */
type Owner = Pick<Policy['data'], 'model' | 'scheduler' | 'guidance' | 'guidanceRange' | 'steering' | 'calibration'>;

/** The policy of what was decided; of several budgets, the one that is the default with all of them. */
function policyOf(decided: readonly Decided[], owner: (one: Decided) => Owner): Policy {
  const all = decided.map((one): Policy => {
    const data = { ...HEAD, ...one.data, ...owner(one), measured: {} };
    return { rectify: one.rectify, data };
  });
  const half = usualBudget(all) as Policy;
  return all.length === 1 ? half : { ...half, budgets: all };
}

async function calibrateVelocity<Ctx>(
  velocity: VelocitySource<Ctx>,
  options: CalibrateVelocityOptions<Ctx>,
): Promise<Policy> {
  requireObject('options', options, 'an object with runs, noise levels (sigmas) and a schedule');
  const { runs, model = UNNAMED, channelAxis } = options;
  requireList('runs', runs, isObject, 'a list of { latents, ctx? }');
  for (const [i, run] of runs.entries()) requireTensor(`runs[${i}].latents`, run.latents);
  requireSignal('signal', options.signal);
  const scheduler = schedulerOf(options);
  if (runs.length === 0) throw new UsageError('Calibration needs at least one run: give it starting noise.');
  requirePossible(options.schedule, scheduler.sigmas.length - 1);
  const jobs = runs.map(run => velocityJob(velocity, scheduler, { ...run, channelAxis }));
  const rows = jobs.reduce((sum, job) => sum + (job.latents.shape[0] as number), 0);
  return policyOf(await decide(jobs, options), ({ forwards, gap }) => ({
    model: { class: 'function', ...model },
    scheduler: scheduler.name,
    guidance: guidanceOf(velocity),
    calibration: { pairs: [], rows, forwards, ...(gap && { gap }) },
  }));
}
