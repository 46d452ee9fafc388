import * as tf from '@tensorflow/tfjs-core';

/** Values kept at computed steps, newest first. */
export type History<T> = readonly { readonly sigma: number; readonly value: T }[];

/** Guesses a value at a later noise level from those kept. */
export interface Predictor {
  /** How many past values it looks at. */
  readonly depth: number;
  /**
   * The value at a noise level.
   * @param history at least one kept value, newest first; they stay the caller's
   * @param sigma the noise level to predict at
   * @returns a new tensor; the caller disposes it
   */
  predict(history: History<tf.Tensor>, sigma: number): tf.Tensor;
}

/** The last value as it is. */
export const reuseLast: Predictor = {
  depth: 1,
  predict: history => history[0]!.value.clone(),
};

/**
 * First-order Taylor extrapolation in the noise level, damped: 1 is TaylorSeer's prediction, 0 is plain reuse.
 * Half strength is the robust choice without calibration: the full step overshoots on long gaps.
 * @param strength from 0 to 1
 * @returns a predictor that looks at the last two values
 */
export function taylor(strength: number): Predictor {
  return {
    depth: 2,
    predict(history, sigma) {
      const [last, before] = history;
      if (!before || last!.sigma === before.sigma) return last!.value.clone();
      const reach = (strength * (sigma - last!.sigma)) / (last!.sigma - before.sigma);
      return tf.tidy(() => tf.add(last!.value, tf.mul(tf.sub(last!.value, before.value), reach)));
    },
  };
}
