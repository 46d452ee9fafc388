import type { Tensor } from '@tensorflow/tfjs-core';
import { type Evaluation, evaluateDenoiser } from '../cache/evaluation';
import type { BranchCache, CachePolicy, CacheRun, Decision, GuidedOutput, StepInfo } from '../cache/policy';
import { InterruptedError, NumericError } from '../errors';
import { release } from '../nn/scope';
import type { Solver } from '../schedulers/solver';
import type { Branch, Guide } from './guidance';

/** What happened at one step. */
export interface StepRecord extends StepInfo {
  /** Decision of every branch. */
  readonly decisions: readonly Decision[];
  readonly seconds: number;
  /** Forward passes this step cost, counted in blocks: 1 when every branch ran every block. */
  readonly forwards: number;
  /** Bytes that the caches hold after the step. */
  readonly cacheBytes: number;
}

/** One sampling run, ready to go. */
export interface Run {
  readonly branches: readonly Branch[];
  readonly guide: Guide;
  readonly solver: Solver;
  /** Starting noise `[B, …]`; stays the caller's. */
  readonly latents: Tensor;
  readonly noise?: () => Tensor;
}

export interface LoopOptions {
  /** Called after every step; a promise is awaited, so that a display can be drawn. */
  readonly onStep?: (record: StepRecord, sample: Tensor) => void | Promise<void>;
  readonly signal?: AbortSignal;
}

/**
 * The sampling loop of every model, solver and cache: evaluate the branches through their caches, guide, correct,
 * step.
 * @returns the final latent, owned by the caller, and a record of every step
 * @throws InterruptedError when `signal` is aborted; nothing leaks
 */
export async function sampleLoop(
  run: Run,
  policy: CachePolicy,
  options: LoopOptions = {},
): Promise<{ latents: Tensor; steps: StepRecord[] }> {
  const { solver, branches } = run;
  const steps = solver.timesteps.length;
  const cache = policy.begin({ steps, sigmas: solver.sigmas });
  const caches = branches.map(() => cache.branch());
  const records: StepRecord[] = [];
  let sample = run.latents.clone();
  try {
    for (let index = 0; index < steps; index++) {
      if (options.signal?.aborted) throw new InterruptedError();
      const started = performance.now();
      const info: StepInfo = {
        index,
        steps,
        sigma: solver.sigmas[index] as number,
        sigmaNext: solver.sigmas[index + 1] as number,
      };
      const { output, decisions, forwards } = await evaluateStep(run, cache, caches, info, sample);
      try {
        const next = solver.step(index, output, sample, run.noise);
        sample.dispose();
        sample = next;
      } finally {
        output.dispose();
      }
      const record: StepRecord = {
        ...info,
        decisions,
        forwards,
        seconds: (performance.now() - started) / 1000,
        cacheBytes: caches.reduce((sum, c) => sum + c.bytes(), cache.bytes?.() ?? 0),
      };
      records.push(record);
      await options.onStep?.(record, sample);
    }
    return { latents: sample, steps: records };
  } catch (error) {
    sample.dispose();
    throw error;
  } finally {
    for (const c of caches) c.dispose();
    cache.dispose();
    solver.dispose();
  }
}

/** The guided, corrected prediction of one step; the caller's. */
async function evaluateStep(
  run: Run,
  cache: CacheRun,
  caches: readonly BranchCache[],
  step: StepInfo,
  sample: Tensor,
): Promise<{ output: Tensor; decisions: Decision[]; forwards: number }> {
  const timestep = run.solver.timesteps[step.index] as number;
  const outputs: Tensor[] = [];
  const decisions: Decision[] = [];
  let forwards = 0;
  try {
    for (const [i, branch] of run.branches.entries()) {
      const { output, decision, spent } = await inEvaluation(branch, sample, timestep, async evaluation => ({
        ...(await (caches[i] as BranchCache).evaluate(step, evaluation)),
        spent: evaluation.spent(),
      }));
      outputs.push(output);
      decisions.push(decision);
      forwards += spent / run.branches.length;
    }
    const guided = guideOutputs(run.guide, outputs, step.index);
    const all = decisions.every(d => d === 'compute') ? 'compute' : 'reuse';
    try {
      const output = cache.correct?.(step, sample, guided, all) ?? guided.value.clone();
      return { output, decisions, forwards };
    } finally {
      release(guided);
    }
  } finally {
    for (const output of outputs) output.dispose();
  }
}

/** The prediction of a step with its parts; release it with `release`. */
export function guideOutputs(guide: Guide, outputs: readonly Tensor[], stepIndex: number): GuidedOutput {
  const parts = guide.split(outputs);
  const value = guide.combine(parts, stepIndex);
  return { value, parts: Object.fromEntries(guide.parts.map((name, i) => [name, parts[i] as Tensor])) };
}

/** Evaluates one branch; what the evaluation holds is released whatever happens. */
export async function inEvaluation<T>(
  branch: Branch,
  sample: Tensor,
  timestep: number,
  work: (evaluation: Evaluation) => Promise<T>,
): Promise<T> {
  const expanded = branch.expand(sample);
  const evaluation = evaluateDenoiser(branch.model, expanded, timestep, branch.context);
  try {
    return await work(evaluation);
  } finally {
    evaluation.release();
    expanded.dispose();
  }
}

/** @throws NumericError when a latent has stopped being finite */
export async function requireFinite(latents: Tensor, what: string): Promise<void> {
  const values = await latents.data<'float32'>();
  if (!values.every(Number.isFinite)) {
    throw new NumericError(`${what} has values that are not finite.`, {
      hint: 'Run once with --policy none: if that is finite, the policy is at fault; calibrate it again.',
    });
  }
}
