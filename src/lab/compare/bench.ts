import type { ModelFacts } from '../../cache/registry';
import type { CalibrateOptions } from '../../calibration/calibrate';
import type { Target } from '../../calibration/choose-variant';
import type { Policy } from '../../policy/data';
import type { Pair } from '../../policy/pair';
import type { Job, Pipeline } from '../../sampling/pipeline';

/** What was found by trying: the number of a setting, or a threshold; and the forward passes that this cost. */
export interface Choice {
  readonly value: number;
  readonly spent: number;
}

/** What calibrating a contender works with. */
export interface Bench {
  readonly pipeline: Pipeline;
  readonly steps: number;
  readonly guidance: number;
  /** Calibration pairs; none of them is ever compared on. */
  readonly pairs: readonly Pair[];
  readonly batch: number;
  /** Schedules that a search may try. */
  readonly trials: number;
  /** What the worst eighth of the pairs counts in a choice; the usual weight unless given. */
  readonly worstWeight?: number | undefined;
  readonly signal?: AbortSignal;
  /** Told of forward passes as they are done. */
  readonly onPasses: (count: number) => void;
  /** Facts about the model that some methods need, measured when they are first asked for. */
  facts(): Promise<ModelFacts>;
  /** The calibration pairs as jobs of one row each, made when they are first asked for; they stay the bench's. */
  singles(): Promise<readonly Job[]>;
  /** The calibration pairs in batches, and where their uncached runs end; made when they are first asked for. */
  targets(): Promise<readonly Target[]>;
  /** What a method was set to at a budget before; else what is chosen now. */
  choice(name: string, computed: number, make: () => Promise<Choice>): Promise<Choice>;
  /** The policy of that name and budget: given, kept from before, or else made and kept. */
  policy(name: string, computed: number, make: () => Promise<Policy>): Promise<Policy>;
}

/** What every calibration on a bench has in common. */
export function benchRequest(bench: Bench): Omit<CalibrateOptions, 'schedule' | 'onProgress'> {
  const { pairs, steps, guidance, batch, worstWeight, signal } = bench;
  return { pairs, steps, guidance, batch, worstWeight, ...(signal && { signal }) };
}
