import type { Tensor } from '@tensorflow/tfjs-core';
import type { Keeper } from '../nn/state';
import type { FidelityBound } from './bound';
import type { Evaluation } from './evaluation';
import type { Familiar } from './familiar';

/** Whether a step ran the transformer or rebuilt its output. */
export type Decision = 'compute' | 'reuse';

/** Where a run stands. */
export interface StepInfo {
  /** From 0. */
  readonly index: number;
  /** Denoising steps of the run. */
  readonly steps: number;
  /** Noise level at which the model is evaluated. */
  readonly sigma: number;
  /** Noise level that the step leads to. */
  readonly sigmaNext: number;
}

/** What a run will be, told to a policy before it begins. */
export interface RunInfo {
  /** Denoising steps. */
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
  /** Whether the model was run. */
  readonly decision: Decision;
}

/**
 * The state of one guidance branch in one run. A run whose branches have no `state` and `restore` cannot be taken up in
 * the middle.
 */
export interface BranchCache extends Keeper {
  /**
   * The output at one step: computed by the evaluation, or rebuilt. The evaluation stays its owner's.
   * @param step where the run stands
   * @param evaluation the model at this latent and time; nothing is computed yet
   * @returns the output and whether it was computed
   */
  evaluate(step: StepInfo, evaluation: Evaluation): Promise<Evaluated>;
  /**
   * Bytes of the tensors it holds now.
   * @returns bytes
   */
  bytes(): number;
  /** Releases what is kept. */
  dispose(): void;
}

/** The prediction of a step and what guidance made it of. */
export interface GuidedOutput {
  /** The prediction after guidance. */
  readonly value: Tensor;
  /** By the guide's names: `output`, or `conditional` and `unconditional`. */
  readonly parts: Readonly<Record<string, Tensor>>;
}

/**
 * The state of one run; nothing survives it. Its `state` and `restore` are of what it keeps beside its branches, where it
 * keeps something: a run that corrects and has neither cannot be taken up in the middle.
 */
export interface CacheRun extends Keeper {
  /**
   * A fresh cache for one guidance branch.
   * @returns the cache; its caller disposes it
   */
  branch(): BranchCache;
  /**
   * Last word on the guided output of a step. Called at every step, so that computed outputs can be remembered.
   * @param step where the run stands
   * @param sample the latent before the step `[B, …]`
   * @param output the prediction after guidance, and its parts
   * @param decision `compute` when every branch computed the step
   * @returns a new tensor, owned by the caller; all arguments stay the caller's
   */
  correct?(step: StepInfo, sample: Tensor, output: GuidedOutput, decision: Decision): Tensor;
  /**
   * Bytes of the tensors that the run holds beside its branches.
   * @returns bytes
   */
  bytes?(): number;
  /** Releases what the run keeps beside its branches. */
  dispose(): void;
}

/** A caching method with its settings. Holds no state: every run begins afresh. */
export interface CachePolicy {
  /** The method's name in receipts and reports. */
  readonly name: string;
  /** Whether it decides by what it sees of the pictures: those of a batch are then not what each would be alone. */
  readonly isDynamic?: boolean;
  /**
   * Moves the noise levels of a run (the timestep adjustment), or takes fewer of them; both ends stay.
   * @param sigmas noise levels of the run, falling, length steps + 1
   * @returns the levels to run over, with the same two ends
   */
  adjust?(sigmas: readonly number[]): readonly number[];
  /** What runs look like that it was calibrated on, where that is known. */
  readonly familiar?: Familiar | undefined;
  /** What its pictures keep at least, where that was measured. */
  readonly bound?: FidelityBound | undefined;
  /** Steps whose signals are read, from 0; a bound for each picture needs those that it names. */
  readonly signals?: readonly number[] | undefined;
  /**
   * The fresh state of one run.
   * @param run number of steps and their noise levels
   * @returns the state; its caller disposes it
   */
  begin(run: RunInfo): CacheRun;
}

/** Bytes of float32 tensors, those absent counted as none. */
export function tensorBytes(tensors: readonly (Tensor | undefined)[]): number {
  return tensors.reduce((sum, t) => sum + (t ? t.size * 4 : 0), 0);
}
