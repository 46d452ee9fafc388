import type { Tensor } from '@tensorflow/tfjs-core';
import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import { requireObject, requireSignal } from '../../io/arguments';
import type { Policy } from '../../policy/data';
import { usePolicy } from '../../policy/use';
import { type LoopOptions, requireFinite, type StepRecord, sampleLoop } from '../sample-loop';
import { scheduleText } from '../schedule-text';
import type { Noise } from '../trajectory';
import { type ModelIdentity, UNNAMED } from './identity';
import { velocityJob } from './job';
import { requireTensor } from './require-tensor';
import { schedulerOf, type Times } from './scheduler';
import { guidanceOf, type VelocitySource } from './velocity';

/** How `sampleLatents` runs: times as noise levels or as a scheduler, a policy, a context. */
export type SampleLatentsOptions<Ctx = unknown> = LoopOptions &
  Times & {
    /** A calibrated policy or any caching method; every step is computed unless given. */
    readonly policy?: Policy | CachePolicy;
    /** What the function gets as its third argument. */
    readonly ctx?: Ctx;
    /** Whose function it is; as it was calibrated. */
    readonly model?: ModelIdentity;
    /** Normal noise of the latent's shape, for solvers that ask for it. */
    readonly noise?: Noise;
  };

/** What came of a run. */
export interface SampledLatents {
  /** The final latent; the caller's. */
  readonly latents: Tensor;
  /** What happened at every step. */
  readonly steps: readonly StepRecord[];
  /** `#` computed, `.` reused, one character a step. */
  readonly schedule: string;
  /** Full calls of the function that were made. */
  readonly forwards: number;
}

/**
 * Runs a velocity function through the sampling loop, cached.
 * @param velocity a function, its three parts, or a guided pair of either
 * @param latents starting noise `[B, …]`; stays the caller's
 * @param options noise levels or a scheduler, a policy, `ctx`, callbacks
 * @returns the final latent, which the caller disposes, and what was computed
 * @throws PolicyError when the policy was calibrated for another run, NumericError when the result is not finite
 * @throws UsageError when noise levels do not fall
 * @throws InterruptedError when `signal` is aborted
 * @example
 * const { latents, schedule } = await sampleLatents(velocity, noise, { sigmas, policy });
 */
export async function sampleLatents<Ctx>(
  velocity: VelocitySource<Ctx>,
  latents: Tensor,
  options: SampleLatentsOptions<Ctx>,
): Promise<SampledLatents> {
  requireTensor('latents', latents);
  requireObject('options', options, 'an object with noise levels (sigmas) or a scheduler');
  const { policy: choice = none(), ctx, model = UNNAMED, noise } = options;
  const { onStep, estimate, signal, checkpoints, onResume } = options;
  requireSignal('signal', signal);
  const scheduler = schedulerOf(options);
  const { sigmas, name } = scheduler;
  const policy = usePolicy(choice, { model, scheduler: name, guidance: guidanceOf(velocity), sigmas });
  const job = velocityJob(velocity, scheduler, { latents, ctx });
  const solver = job.solver(policy.adjust?.(sigmas));
  // A function's policy may have been calibrated with an axis that nobody repeats here.
  const run = { ...job, channelAxis: undefined, solver, ...(noise && { noise }) };
  const { latents: final, steps } = await sampleLoop(run, policy, { onStep, estimate, signal, checkpoints, onResume });
  await requireFinite(final, 'The final latent', policy).catch(error => {
    final.dispose();
    throw error;
  });
  const forwards = steps.reduce((sum, s) => sum + s.forwards, 0);
  return { latents: final, steps, forwards, schedule: scheduleText(steps) };
}
