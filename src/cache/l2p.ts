import { PolicyError } from '../errors';
import { type Combined, itself, sumOf, weightsOf } from './combined';
import { type Forecast, forecasting } from './forecast';
import type { CachePolicy } from './policy';

/** Weights of former outputs, and the ridge that they were fitted with. */
export interface HistoryFit {
  /** How strongly they were held to "repeat the last output", as a part of an output's squared norm. */
  readonly ridge: number;
  /** `[step][step before]` */
  readonly weights: readonly (readonly number[])[];
}

/** Settings of L2P. */
export interface L2pOptions {
  /** Which steps are rebuilt instead of computed. */
  readonly reused: readonly boolean[];
  /** For every step, what each step before it counts: `weights[t]` has t numbers. */
  readonly weights: readonly (readonly number[])[];
}

/**
 * L2P (arXiv 2604.26365): a rebuilt output is a linear combination of all outputs before it, computed or rebuilt, with
 * weights for every step that were fitted on uncached runs. The fit is open-loop: it never sees the states that reuse
 * leads to. The authors fit by gradient descent from "repeat the last output"; `fitHistory` solves the same least
 * squares in closed form, held to that start by a ridge in place of an early end.
 * @param options schedule and weights
 * @returns the caching method
 * @throws PolicyError when there are not as many rows of weights as steps
 */
export function l2p({ reused, weights }: L2pOptions): CachePolicy {
  if (weights.length !== reused.length || weights.some((row, t) => row.length !== t || !row.every(Number.isFinite))) {
    throw new PolicyError(`L2P has no weights for a run of ${reused.length} steps.`, {
      hint: 'Measure them on the model with as many steps.',
    });
  }
  return forecasting({ name: 'l2p', reused, forecast: historyForecast(weights) });
}

/** The forecast by weights of all outputs before. */
export function historyForecast(weights: readonly (readonly number[])[]): Forecast {
  return {
    depth: Number.POSITIVE_INFINITY,
    weights({ computed, at }) {
      const known = new Set(computed);
      const taken: Combined[] = [];
      // Where another model takes over, outputs of the one before it are not to be had: its own first stands for them.
      const first = Math.min(...computed);
      for (let step = 0; step <= at; step++) {
        const row = weights[step] as readonly number[];
        if (step <= first) taken.push(itself(first));
        else taken.push(known.has(step) ? itself(step) : sumOf(row.map((w, j) => [w, taken[j] as Combined])));
      }
      return weightsOf(taken[at] as Combined, computed);
    },
  };
}
