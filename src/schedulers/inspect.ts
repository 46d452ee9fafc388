import type { Tensor } from '@tensorflow/tfjs-core';

/** What a solver did at one step. */
export interface StepReport {
  /** From 0. */
  readonly index: number;
  /** Clean sample that the step predicts; valid during the call only. */
  readonly x0?: Tensor;
  /** Order of the step, where it changes from step to step. */
  readonly order?: number;
}

/**
 * Looks into a solver's steps.
 * @param report what the step did
 */
export type Inspect = (report: StepReport) => void;
