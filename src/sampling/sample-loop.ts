import type { Tensor } from '@tensorflow/tfjs-core';
import { none } from '../cache/none';
import type { CachePolicy } from '../cache/policy';
import { NumericError } from '../errors';
import { nextTurn } from '../io/turn';
import { settleQueued } from '../nn/settle';
import type { Solver } from '../schedulers/solver';
import { beginRun } from './cached-run';
import { type RunCheckpoints, USUAL_EVERY } from './checkpoint';
import type { Branch, Guide } from './guidance';
import { type Progress, resumeRun, saveRun } from './resume';
import type { StepRecord } from './step-record';
import { beginTrajectory, type Noise } from './trajectory';

export type { StepRecord } from './step-record';

/** One sampling run, ready to go. */
export interface Run {
  /** The calls of the model at every step. */
  readonly branches: readonly Branch[];
  /** How their outputs become one prediction. */
  readonly guide: Guide;
  /** A fresh solver; the caller disposes it. */
  readonly solver: Solver;
  /** Starting noise `[B, …]`; stays the caller's. */
  readonly latents: Tensor;
  /** Fresh normal noise of the latent's shape, for solvers that ask for it. */
  readonly noise?: Noise | undefined;
  /** Axis of the latent that holds its channels, where that is known; policies are checked against it. */
  readonly channelAxis?: number | undefined;
}

/** Who is told of the steps of a run, and who may stop it. */
export interface LoopOptions {
  /** Called after every step; a promise is awaited, so that a display can be drawn. */
  readonly onStep?: ((record: StepRecord, sample: Tensor) => void | Promise<void>) | undefined;
  /** Who is shown the finished latent as single steps predict it. */
  readonly estimate?: Estimate | undefined;
  /** Where checkpoints of the run are kept. It goes on at the one that is there, to the same bytes. */
  readonly checkpoints?: RunCheckpoints | undefined;
  /** Told of the steps that were taken before, where the run goes on at a checkpoint. */
  readonly onResume?: ((records: readonly StepRecord[]) => void) | undefined;
  /** When aborted, the run ends at the next step or between two blocks, with an InterruptedError. */
  readonly signal?: AbortSignal | undefined;
}

/** Looks at the finished latent before the run has come to it. */
export interface Estimate {
  /**
   * Asked at every step.
   * @param index which step, 0 … N-1
   * @param steps of the run
   * @returns whether this step's prediction is wanted
   */
  wanted(index: number, steps: number): boolean;
  /**
   * Called before the step is taken; a promise is awaited. Solvers that cannot say have no predictions.
   * @param latents `[B, …]`; released afterwards
   * @param index which step, 0 … N-1
   */
  show(latents: Tensor, index: number): void | Promise<void>;
}

/**
 * The sampling loop of every model, solver and cache: evaluate the branches through their caches, guide, correct,
 * step. The event loop has a turn at every step, and between blocks that take long.
 * @param run branches, guide, solver and starting noise, which stays the caller's; the solver is disposed
 * @param policy a caching method; its time adjustment must be in the solver already
 * @param options who is told of the steps, and who may stop the run
 * @returns the final latent, owned by the caller, a record of every step, and how many of them were taken before
 * @throws UnsupportedError for checkpoints of a method or a sampler whose runs cannot be taken up in the middle
 * @throws InterruptedError when `signal` is aborted; nothing leaks
 */
export async function sampleLoop(
  run: Run,
  policy: CachePolicy,
  options: LoopOptions = {},
): Promise<{ latents: Tensor; steps: StepRecord[]; resumed: number }> {
  const { timesteps, sigmas } = run.solver;
  const steps = timesteps.length;
  const { signal, checkpoints } = options;
  const { shape } = run.latents;
  const cached = beginRun(run, policy, { steps, sigmas, shape, channelAxis: run.channelAxis }, signal);
  const trajectory = beginTrajectory(run);
  const records: StepRecord[] = [];
  const progress: Progress = { cached, trajectory, records, sigmas };
  try {
    if (checkpoints && (await resumeRun(checkpoints, progress))) options.onResume?.(records);
    const resumed = records.length;
    for (let index = resumed; index < steps; index++) {
      await nextTurn(signal);
      const started = performance.now();
      const info = trajectory.step(index);
      const timestep = timesteps[index] as number;
      const { output, decisions, forwards, gap, signals } = await cached.evaluate(info, trajectory.sample(), timestep);
      try {
        if (options.estimate?.wanted(index, steps))
          await shown(options.estimate, trajectory.clean(index, output), index);
        trajectory.advance(index, output);
      } finally {
        output.dispose();
      }
      await settleQueued(trajectory.sample());
      const record: StepRecord = {
        ...info,
        decisions,
        forwards,
        seconds: (performance.now() - started) / 1000,
        cacheBytes: cached.bytes(),
        ...(gap && { gap }),
        ...(signals && { signals }),
      };
      records.push(record);
      if (checkpoints && (index + 1) % (checkpoints.store.every ?? USUAL_EVERY) === 0) {
        await saveRun(checkpoints, progress);
      }
      await options.onStep?.(record, trajectory.sample());
    }
    return { latents: trajectory.sample().clone(), steps: records, resumed };
  } finally {
    cached.dispose();
    trajectory.dispose();
  }
}

async function shown(estimate: Estimate, latents: Tensor | undefined, index: number): Promise<void> {
  if (!latents) return;
  try {
    await estimate.show(latents, index);
  } finally {
    latents.dispose();
  }
}

/**
 * @param policy the one that was in use, if any
 * @throws NumericError when a latent has stopped being finite
 */
export async function requireFinite(latents: Tensor, what: string, policy?: Pick<CachePolicy, 'name'>): Promise<void> {
  const values = await latents.data<'float32'>();
  if (!values.every(Number.isFinite)) {
    throw new NumericError(`${what} has values that are not finite.`, {
      hint:
        policy && policy.name !== none().name
          ? 'Run once without a policy (--policy none): if that is finite, the policy is at fault; calibrate it again.'
          : 'Every step was computed, so the model or its settings are at fault; `ertacache info --values` checks its files.',
    });
  }
}
