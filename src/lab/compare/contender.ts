import type { CachePolicy } from '../../cache/policy';
import type { Budget } from '../../cache/registry';
import type { Bench, Choice } from './bench';

/** Forward passes of one pair each, by how they run. */
export interface Passes {
  readonly batched: number;
  readonly single: number;
}

/** A method made ready for a budget. */
export interface Prepared {
  readonly policy: CachePolicy;
  /** What it was set to, for people. */
  readonly setting?: string;
  /** Forward passes that preparing it cost. */
  readonly passes: number;
  /** What was chosen, where something was. */
  readonly choice?: Choice | undefined;
}

/** One that takes part in a comparison. */
export interface Contender {
  readonly name: string;
  readonly title: string;
  /** One sentence: what it decides on, and what it reuses. */
  readonly summary: string;
  readonly source?: string;
  /** Decides anew for every picture, and on a batch as one: it is measured on one pair at a time. */
  readonly dynamic: boolean;
  /** The contender whose policy it uses at the same budget. */
  readonly after?: string;
  /** Whether it needs facts about the model. */
  readonly needsFacts?: boolean;
  /** The forward passes that preparing it costs at most, over all calibration pairs. */
  cost(budget: Budget, bench: Bench): Passes;
  prepare(budget: Budget, bench: Bench): Promise<Prepared>;
}
