import type { Tensor } from '@tensorflow/tfjs-core';
import type { Evaluation } from './evaluation';

/** Whether a step ran the transformer or rebuilt its output. */
export type Decision = 'compute' | 'reuse';

/** Where a run stands. */
export interface StepInfo {
  readonly index: number;
  readonly steps: number;
  /** Noise level at which the model is evaluated, and the one the step leads to. */
  readonly sigma: number;
  readonly sigmaNext: number;
}

/** What a run will be, told to a policy before it begins. */
export interface RunInfo {
  readonly steps: number;
  /** Noise levels after the policy's own adjustment; length `steps + 1`. */
  readonly sigmas: readonly number[];
  /** Names of the parts that guided outputs have, where the run tells. */
  readonly parts?: readonly string[] | undefined;
  /** Shape of the latent, where the run tells. */
  readonly shape?: readonly number[] | undefined;
  /** Axis of the latent that holds its channels, where the run tells. */
  readonly channelAxis?: number | undefined;
}

/** What a branch answered at one step. */
export interface Evaluated {
  /** The model's output, computed or rebuilt; the caller owns it. */
  readonly output: Tensor;
  readonly decision: Decision;
}

/** The state of one guidance branch in one run. */
export interface BranchCache {
  /** The output at one step: computed by the evaluation, or rebuilt. The evaluation stays its owner's. */
  evaluate(step: StepInfo, evaluation: Evaluation): Promise<Evaluated>;
  /** Bytes of the tensors it holds now. */
  bytes(): number;
  /** Releases what is kept. */
  dispose(): void;
}

/** The prediction of a step and what guidance made it of. */
export interface GuidedOutput {
  readonly value: Tensor;
  /** By the guide's names: `output`, or `conditional` and `unconditional`. */
  readonly parts: Readonly<Record<string, Tensor>>;
}

/** The state of one run; nothing survives it. */
export interface CacheRun {
  /** A fresh cache for one guidance branch. */
  branch(): BranchCache;
  /**
   * Last word on the guided output of a step. Called at every step, so that computed outputs can be remembered.
   * @returns a new tensor, owned by the caller; all arguments stay the caller's
   */
  correct?(step: StepInfo, sample: Tensor, output: GuidedOutput, decision: Decision): Tensor;
  /** Bytes of the tensors that the run holds beside its branches. */
  bytes?(): number;
  /** Releases what the run keeps beside its branches. */
  dispose(): void;
}

/** A caching method with its settings. Holds no state: every run begins afresh. */
export interface CachePolicy {
  readonly name: string;
  /** Moves the noise levels of a run (the timestep adjustment), or takes fewer of them; both ends stay. */
  adjust?(sigmas: readonly number[]): readonly number[];
  /** The fresh state of one run. */
  begin(run: RunInfo): CacheRun;
}

/** Bytes of float32 tensors, those absent counted as none. */
export function tensorBytes(tensors: readonly (Tensor | undefined)[]): number {
  return tensors.reduce((sum, t) => sum + (t ? t.size * 4 : 0), 0);
}
