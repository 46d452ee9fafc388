import { type Bound, boundOf, type FidelityBound } from '../cache/bound';
import { type Familiar, isFamiliar } from '../cache/familiar';
import type { CachePolicy } from '../cache/policy';
import type { Media } from '../media/pixels';
import type { BatchRequest, DecodeOptions, Job, Pipeline } from './pipeline';
import { estimateFor, type Previews } from './previews';
import { type LoopOptions, requireFinite, type StepRecord, sampleLoop } from './sample-loop';
import { scheduleText } from './schedule-text';

/** What came of one run. */
export interface RunResult {
  /** One image or clip a row of the request. */
  readonly media: readonly Media[];
  /** What happened at every step. */
  readonly steps: readonly StepRecord[];
  /** Time of the sampling loop, without encoding and decoding. */
  readonly seconds: number;
  /** Full forward passes that were computed; reused steps count what they cost in blocks. */
  readonly forwards: number;
  /** `#` computed, `.` reused, one character a step. */
  readonly schedule: string;
  /**
   * For every row, whether it is unlike all runs that the policy was calibrated on, so that what the policy was measured at
   * says nothing of it: judged by guidance, before any step is reused. Absent where that cannot be told.
   */
  readonly outside?: readonly boolean[] | undefined;
  /**
   * For every row, what its PSNR to the uncached run is at least, with what confidence; null for a run that is unlike those
   * that this was measured on. Absent where the policy has no bound.
   */
  readonly bound?: readonly (Bound | null)[] | undefined;
}

/**
 * Samples with a job that is ready; the job stays the caller's and can be used again.
 * @param pipeline the pipeline that prepared the job; it decodes the result
 * @param job what `Pipeline.prepare` returned
 * @param policy a caching method; `none()` computes every step
 * @param options callbacks, a signal to stop, previews, and noise levels in place of the job's
 * @returns pictures or clips, one a row, and what the run cost
 * @throws PolicyError when the method is not for a run of so many steps
 * @throws NumericError when the final latent is not finite
 * @throws InterruptedError when `signal` is aborted
 */
export async function runJob(
  pipeline: Pipeline,
  job: Job,
  policy: CachePolicy,
  options: LoopOptions & {
    readonly sigmas?: readonly number[];
    readonly onDecode?: DecodeOptions['onProgress'];
    readonly previews?: Previews | undefined;
  } = {},
): Promise<RunResult> {
  const base = options.sigmas ?? job.sigmas;
  const solver = job.solver(policy.adjust?.(base) ?? base);
  const started = performance.now();
  const { latents, steps, resumed } = await sampleLoop({ ...job, solver }, policy, {
    ...options,
    ...(options.previews && { estimate: estimateFor(pipeline, job, options.previews, options.signal) }),
  });
  try {
    // Reading back waits for the backend, so the clock is stopped after it.
    await requireFinite(latents, 'The final latent', policy);
    const before = steps.slice(0, resumed).reduce((sum, s) => sum + s.seconds, 0);
    const seconds = before + (performance.now() - started) / 1000;
    const forwards = steps.reduce((sum, s) => sum + s.forwards, 0);
    const media = await pipeline.decode(latents, job.size, {
      ...(options.onDecode && { onProgress: options.onDecode }),
      ...(options.signal && { signal: options.signal }),
    });
    const outside = outsideOf(policy, steps);
    const bound = policy.bound && boundsOf(policy.bound, job, steps, outside);
    return {
      ...{ media, steps, seconds, forwards, schedule: scheduleText(steps) },
      ...(outside && { outside }),
      ...(bound && { bound }),
    };
  } finally {
    latents.dispose();
  }
}

function outsideOf({ familiar }: CachePolicy, steps: readonly StepRecord[]): boolean[] | undefined {
  const gap = familiar && steps.find(step => step.gap)?.gap;
  return gap?.map(value => !isFamiliar(familiar as Familiar, value));
}

function boundsOf(
  bound: FidelityBound,
  { latents }: Pick<Job, 'latents'>,
  steps: readonly StepRecord[],
  outside: readonly boolean[] = [],
): (Bound | null)[] {
  const [rows, ...shape] = latents.shape as [number, ...number[]];
  const isSeen = shape.join() === bound.shape.join();
  return Array.from({ length: rows }, (_, row) => {
    if (!isSeen || outside[row]) return null;
    return boundOf(bound, step => steps[step]?.signals?.[row]) ?? null;
  });
}

/**
 * Samples every row of a request in one batch.
 * @param pipeline the loaded model; it stays the caller's
 * @param request prompts, seeds, steps and guidance
 * @param policy a caching method; `none()` computes every step
 * @param options callbacks and a signal to stop
 * @returns pictures or clips, one a row, and what the run cost
 * @throws UsageError for a request that the model cannot be run with
 * @throws PolicyError when the method is not for a run of so many steps
 * @throws NumericError when the final latent is not finite
 * @throws InterruptedError when `signal` is aborted
 * @example
 * const { media, schedule } = await runRequest(model, request, uniform(30, 15));
 */
export async function runRequest(
  pipeline: Pipeline,
  request: BatchRequest,
  policy: CachePolicy,
  options: LoopOptions = {},
): Promise<RunResult> {
  const job = await pipeline.prepare(request, options);
  try {
    return await runJob(pipeline, job, policy, options);
  } finally {
    job.release();
  }
}
