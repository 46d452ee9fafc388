import { backend, type Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import type { Evaluation } from '../cache/evaluation';
import { guidanceGap } from '../cache/familiar';
import type { BranchCache, CachePolicy, Decision, GuidedOutput, RunInfo, StepInfo } from '../cache/policy';
import type { Signals } from '../cache/signal';
import { signalReader } from '../cache/signals';
import { heedFaults } from '../engine/gpu-faults';
import { UnsupportedError } from '../errors';
import { breathe } from '../io/turn';
import { release } from '../nn/scope';
import { anyState, isResumable, type Keeper, parseState, type Resumable, type State, stateless } from '../nn/state';
import type { Branch, Guide, GuidedStep } from './guidance';

/** What one step came to. */
export interface StepOutput {
  /** The guided, corrected prediction; the caller's. */
  readonly output: Tensor;
  /** Decision of every branch. */
  readonly decisions: readonly Decision[];
  /** Forward passes that it cost: 1 when every branch ran every block. */
  readonly forwards: number;
  /** How far guidance's outputs lie apart, one value a row, at the step at which the method asks for that. */
  readonly gap?: readonly number[] | undefined;
  /** What the step showed of every row, at the steps whose signals the method asks for. */
  readonly signals?: readonly Signals[] | undefined;
}

/** One run of a model behind a cache, asked step by step by whatever loop there is. */
export interface CachedRun extends Resumable {
  /** The prediction at a latent, which stays the caller's. Steps must come in order. */
  evaluate(step: StepInfo, sample: Tensor, timestep: number): Promise<StepOutput>;
  /** Bytes that the caches hold now. */
  bytes(): number;
  /** @throws UnsupportedError for a method whose runs cannot be taken up in the middle */
  state(): State;
  dispose(): void;
}

/** Begins a run: fresh caches for every branch. Its steps are stopped by `signal`, with an InterruptedError. */
export function beginRun(
  { branches, guide }: { readonly branches: readonly Branch[]; readonly guide: Guide },
  policy: CachePolicy,
  info: RunInfo,
  signal?: AbortSignal,
): CachedRun {
  // In browsers nobody chooses the backend by `selectBackend`, which heeds its faults.
  heedFaults(backend());
  const run = policy.begin({ ...info, parts: guide.parts });
  const caches = branches.map(branch => expertCache(branch, () => run.branch()));
  const signals = signalReader(policy.signals);
  const keepers = [run.correct || run.state ? run : { ...run, ...stateless }, signals, ...caches];
  return {
    async evaluate(step, sample, timestep) {
      const outputs: Tensor[] = [];
      const decisions: Decision[] = [];
      let forwards = 0;
      try {
        for (const [i, branch] of branches.entries()) {
          await breathe(signal);
          const evaluated = await inEvaluation(branch, { sample, timestep, signal }, async evaluation => ({
            ...(await (caches[i] as BranchCaches).at(timestep).evaluate(step, evaluation)),
            spent: evaluation.spent(),
          }));
          const { output, decision, spent } = evaluated;
          outputs.push(output);
          decisions.push(decision);
          forwards += spent / branches.length;
        }
        const guided = guideOutputs(guide, outputs, { ...step, timestep });
        const all = decisions.every(d => d === 'compute') ? 'compute' : 'reuse';
        try {
          const gap = policy.familiar?.step === step.index ? await guidanceGap(guided.parts) : undefined;
          const output = run.correct?.(step, sample, guided, all) ?? guided.value.clone();
          const shown = await signals.read(step.index, guided, output, all);
          return { output, decisions, forwards, ...(gap && { gap }), ...(shown && { signals: shown }) };
        } finally {
          release(guided);
        }
      } finally {
        for (const output of outputs) output.dispose();
      }
    },
    bytes: () => caches.reduce((sum, c) => sum + c.bytes(), (run.bytes?.() ?? 0) + signals.bytes()),
    state: () => keepers.map(keeper => resumable(keeper, policy).state()),
    restore(state) {
      const states = parseState(z.array(anyState).length(keepers.length), state);
      for (const [i, keeper] of keepers.entries()) resumable(keeper, policy).restore(states[i] as State);
    },
    dispose() {
      for (const c of caches) c.dispose();
      signals.dispose();
      run.dispose();
    },
  };
}

/** The cache of a branch. Where another model takes over, it begins anew: so its first step is computed. */
interface BranchCaches extends Keeper {
  at(timestep: number): BranchCache;
  bytes(): number;
  dispose(): void;
}

const expertForm = z.object({ expert: z.int(), cache: anyState });

function expertCache({ expert }: Branch, begin: () => BranchCache): BranchCaches {
  let cache = begin();
  if (!expert)
    return { at: () => cache, bytes: () => cache.bytes(), dispose: () => cache.dispose(), ...keeperOf(cache) };
  let current: number | undefined;
  const renew = (): void => {
    cache.dispose();
    cache = begin();
  };
  const kept: Partial<Resumable> = isResumable(cache)
    ? {
        state: () => ({ expert: current ?? 0, cache: (cache as Resumable).state() }),
        restore(state) {
          const given = parseState(expertForm, state);
          renew();
          current = given.expert;
          (cache as Resumable).restore(given.cache);
        },
      }
    : {};
  return {
    ...kept,
    at(timestep) {
      const own = expert(timestep);
      if (current !== undefined && own !== current) renew();
      current = own;
      return cache;
    },
    bytes: () => cache.bytes(),
    dispose: () => cache.dispose(),
  };
}

/** Its `state` and `restore`, where it has them. Called, not copied: the methods of a class are not in the object. */
function keeperOf(cache: BranchCache): Keeper {
  return isResumable(cache) ? { state: () => cache.state(), restore: state => cache.restore(state) } : {};
}

function resumable(keeper: Keeper, { name }: Pick<CachePolicy, 'name'>): Resumable {
  if (isResumable(keeper)) return keeper;
  throw new UnsupportedError(`Runs with the method "${name}" cannot be taken up in the middle.`, {
    hint: 'Draw without checkpoints, or give the method `state` and `restore`.',
  });
}

/** The prediction of a step with its parts; release it with `release`. */
export function guideOutputs(guide: Guide, outputs: readonly Tensor[], step: GuidedStep): GuidedOutput {
  const parts = guide.split(outputs);
  const value = guide.combine(parts, step);
  return { value, parts: Object.fromEntries(guide.parts.map((name, i) => [name, parts[i] as Tensor])) };
}

/** Where a branch is evaluated. */
export interface EvaluationPoint {
  readonly sample: Tensor;
  readonly timestep: number;
  readonly signal?: AbortSignal | undefined;
}

/** Evaluates one branch; what the evaluation holds is released whatever happens. */
export async function inEvaluation<T>(
  branch: Branch,
  { sample, timestep, signal }: EvaluationPoint,
  work: (evaluation: Evaluation) => Promise<T>,
): Promise<T> {
  const leave = await branch.enter?.(timestep);
  try {
    const evaluation = branch.evaluate(sample, timestep, signal);
    try {
      return await work(evaluation);
    } finally {
      evaluation.release();
    }
  } finally {
    leave?.();
  }
}
