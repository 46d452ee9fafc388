import type { Tensor } from '@tensorflow/tfjs-core';
import type { CachePolicy, Decision } from '../../cache/policy';
import { PolicyError, ShapeError, UsageError } from '../../errors';
import { requireObject } from '../../io/arguments';
import type { Policy } from '../../policy/data';
import { requireCaching } from '../../policy/require-policy';
import { usePolicy } from '../../policy/use';
import { beginRun, type CachedRun } from '../cached-run';
import { scheduleText } from '../schedule-text';
import { stepOf } from '../trajectory';
import { type ModelIdentity, UNNAMED } from './identity';
import { requireTensor } from './require-tensor';
import { eulerScheduler, type NoiseLevels, type Scheduler } from './scheduler';
import { branchesOf, guidanceOf, type VelocitySource } from './velocity';

/** How a function is cached in its caller's own loop. */
export interface WithCacheOptions {
  /** Noise levels of the loop, falling, one more than steps; a calibrated policy brings its own. */
  readonly sigmas?: readonly number[] | undefined;
  /** The time that the function is given at a noise level; the level itself unless given. */
  readonly timeOf?: ((sigma: number) => number) | undefined;
  /** The scheduler that the loop steps with, in place of `sigmas` and `timeOf`. */
  readonly scheduler?: Scheduler | undefined;
  /** Whose function it is; as it was calibrated. */
  readonly model?: ModelIdentity | undefined;
}

/**
 * A function with a cache in front, for a loop of one's own: called once a step, in order, it computes or rebuilds. It
 * begins anew after the last step, when it is called at the first time again, and on `restart`.
 */
export interface CachedVelocity<Ctx = unknown> {
  /**
   * The velocity at a latent, computed or rebuilt.
   * @param x the latent `[B, …]`; it stays the caller's
   * @param t the time of the next step, as in `timesteps`
   * @param ctx passed to the function
   * @returns the velocity, of `x`'s shape; the caller disposes it
   * @throws PolicyError when `t` is not the time of the next step
   */
  (x: Tensor, t: number, ctx?: Ctx): Promise<Tensor>;
  /** Noise levels to step over: those of the loop, moved where the policy adjusts step lengths. */
  readonly sigmas: readonly number[];
  /** The times to call it at, one a step. */
  readonly timesteps: readonly number[];
  /**
   * What was done in this run, or in the one that has just ended: `#` computed, `.` reused.
   * @returns one character a step
   */
  schedule(): string;
  /**
   * Full calls of the function in this run, or in the one that has just ended.
   * @returns full forward passes; steps that ran some of the blocks count in part
   */
  forwards(): number;
  /**
   * Bytes that the cache holds now.
   * @returns bytes
   */
  bytes(): number;
  /** Forgets the run; the next call is the first step of another. */
  restart(): void;
  /** Releases what an unfinished run holds. A finished one holds nothing. */
  dispose(): void;
}

/** Times that differ by less, relative to the largest, are the same. */
const SAME_TIME = 1e-4;

/**
 * Puts a cache in front of any function that predicts a velocity; the sampling loop stays the caller's.
 * @param velocity a function, its three parts, or a guided pair of either
 * @param policy a calibrated policy, or any caching method (then `sigmas` or `scheduler` must be given)
 * @param options noise levels or a scheduler, and whose function it is
 * @returns the function with a cache in front; dispose it when a run is left unfinished
 * @throws PolicyError when a calibrated policy is not for this function, UsageError when the times are not known
 * @example
 * const cached = withCache(velocity, policy);
 * for (const [i, t] of cached.timesteps.entries()) {
 *   const v = await cached(x, t);
 *   x = step(x, v, cached.sigmas[i], cached.sigmas[i + 1]);
 * }
 */
export function withCache<Ctx>(
  velocity: VelocitySource<Ctx>,
  policy: Policy | CachePolicy,
  options: WithCacheOptions = {},
): CachedVelocity<Ctx> {
  requireCaching('policy', policy);
  requireObject('options', options, 'an object');
  const scheduler = schedulerFor(policy, options);
  const { sigmas: base, name } = scheduler;
  const use = { model: options.model ?? UNNAMED, scheduler: name, guidance: guidanceOf(velocity), sigmas: base };
  const cache = usePolicy(policy, use);
  const { sigmas, timesteps } = timesOf(scheduler, cache);
  const steps = timesteps.length;
  const tolerance = SAME_TIME * Math.max(...timesteps.map(Math.abs));

  let current: Ctx | undefined;
  const branches = branchesOf(velocity, () => current as Ctx);
  let run: CachedRun | undefined;
  let shape = '';
  let done: { decisions: readonly Decision[]; forwards: number }[] = [];
  let busy = false;

  const release = (): void => {
    run?.dispose();
    run = undefined;
  };
  const isTime = (t: number, index: number): boolean => Math.abs(t - (timesteps[index] as number)) <= tolerance;

  async function call(x: Tensor, t: number, ctx?: Ctx): Promise<Tensor> {
    if (busy) {
      throw new UsageError('A cached velocity was called before its last call had ended.', {
        hint: 'Await every call; for two runs at a time make two with `withCache`.',
      });
    }
    if (!run || (isTime(t, 0) && !isTime(t, done.length))) {
      release();
      done = [];
    }
    requireTensor('x', x);
    const index = done.length;
    requireTime(t, index);
    if (index > 0 && x.shape.join() !== shape) {
      throw new ShapeError(`A run that began with a latent of shape [${shape}] was continued with [${x.shape}].`, {
        hint: 'Finish the run, or call `restart()` before another.',
      });
    }
    run ??= beginRun(branches, cache, { steps, sigmas, shape: x.shape });
    shape = x.shape.join();
    current = ctx;
    busy = true;
    try {
      const { output, decisions, forwards } = await run.evaluate(stepOf({ sigmas, timesteps }, index), x, t);
      done.push({ decisions, forwards });
      if (done.length === steps) release();
      return output;
    } catch (error) {
      release();
      throw error;
    } finally {
      busy = false;
      current = undefined;
    }
  }

  function requireTime(t: number, index: number): void {
    if (isTime(t, index)) return;
    throw new PolicyError(
      `Step ${index + 1} of ${steps} was called at time ${t}, where it is at ${timesteps[index]}.`,
      {
        hint: 'Call it once a step at `timesteps`, and step over `sigmas`; say `timeOf` if times are not noise levels.',
      },
    );
  }

  return Object.assign(call, {
    sigmas,
    timesteps,
    schedule: () => scheduleText(done),
    forwards: () => done.reduce((sum, step) => sum + step.forwards, 0),
    bytes: () => run?.bytes() ?? 0,
    restart: release,
    dispose: release,
  });
}

/** The times that a policy and options agree on. */
function schedulerFor(policy: Policy | CachePolicy, options: WithCacheOptions): Scheduler {
  if (options.scheduler) return options.scheduler;
  const { sigmas, timeOf } = options;
  const levels = (known: readonly number[]): NoiseLevels => ({ sigmas: known, ...(timeOf && { timeOf }) });
  if (!('begin' in policy)) {
    // The caller's loop takes the steps, so their kind is the caller's to know; the times are checked at every call.
    return { ...eulerScheduler(levels(sigmas ?? policy.data.sigmas)), name: policy.data.scheduler };
  }
  if (sigmas) return eulerScheduler(levels(sigmas));
  throw new UsageError(`${policy.name} does not say over which noise levels the loop runs.`, {
    hint: 'Give `sigmas`, falling, one more than there are steps.',
  });
}

function timesOf(scheduler: Scheduler, cache: CachePolicy) {
  const solver = scheduler.solver(cache.adjust?.(scheduler.sigmas));
  const { sigmas, timesteps } = solver;
  solver.dispose();
  return { sigmas, timesteps };
}
