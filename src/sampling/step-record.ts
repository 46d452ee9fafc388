import type { Decision, StepInfo } from '../cache/policy';
import type { Signals } from '../cache/signal';

/** What happened at one step. */
export interface StepRecord extends StepInfo {
  /** Decision of every branch. */
  readonly decisions: readonly Decision[];
  /** Wall-clock time of the step. */
  readonly seconds: number;
  /** Forward passes this step cost, counted in blocks: 1 when every branch ran every block. */
  readonly forwards: number;
  /** Bytes that the caches hold after the step. */
  readonly cacheBytes: number;
  /** How far guidance's outputs lay apart, one value a row, at the step at which the method asked for that. */
  readonly gap?: readonly number[];
  /** What the step showed of every row, at the steps whose signals the method asks for. */
  readonly signals?: readonly Signals[];
}
