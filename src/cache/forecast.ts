import * as tf from '@tensorflow/tfjs-core';
import { PolicyError } from '../errors';
import { requireSteps } from './ertacache';
import type { CachePolicy } from './policy';
import type { Predictor } from './predictor';
import { residualBranch } from './residual';
import { type SiteName, site } from './sites';

/** Where a step that is rebuilt stands among those that were computed. */
export interface Outlook {
  /** The computed steps whose outputs are kept, by their numbers from 0, the last first; at least one. */
  readonly computed: readonly number[];
  /** The step to rebuild. */
  readonly at: number;
  /** Noise levels of the run; one more than it has steps. */
  readonly sigmas: readonly number[];
}

/** A guess at an output as a weighted sum of computed ones, whose weights depend on nothing in the picture. */
export interface Forecast {
  /** How many computed outputs are kept; `Infinity` for all. */
  readonly depth: number;
  /**
   * What each computed output counts.
   * @param outlook the step to rebuild, and those that were computed
   * @returns one weight for each of `outlook.computed`; those that are left out count nothing
   */
  weights(outlook: Outlook): readonly number[];
}

/** What a method that forecasts is made of. */
export interface ForecastSettings {
  /** The method's name in receipts and reports. */
  readonly name: string;
  /** Which steps are rebuilt instead of computed. The first never is. */
  readonly reused: readonly boolean[];
  /** What is forecast; `velocity`, the model's output, unless given. */
  readonly site?: SiteName | undefined;
  /** How it is forecast. */
  readonly forecast: Forecast;
}

/**
 * A method that computes the steps of a schedule and forecasts the others.
 * @param settings name, schedule, site and forecast
 * @returns the caching method
 * @throws PolicyError when the first step is not computed and, when a run begins, unless it has as many steps
 */
export function forecasting({ name, reused, site: at = 'velocity', forecast }: ForecastSettings): CachePolicy {
  if (reused[0]) throw new PolicyError('The first step of a policy must be computed: there is nothing to reuse yet.');
  return {
    name,
    begin(run) {
      requireSteps({ reused }, run.steps);
      const predictor = predictorOver(forecast, run.sigmas);
      return {
        branch: () =>
          residualBranch({ site: site(at), predictor, decide: ({ index }) => (reused[index] ? 'reuse' : 'compute') }),
        dispose() {},
      };
    },
  };
}

/** A forecast over the noise levels of one run, which tell its steps apart. */
function predictorOver(forecast: Forecast, sigmas: readonly number[]): Predictor {
  const stepOf = (sigma: number): number => sigmas.indexOf(sigma);
  return {
    depth: forecast.depth,
    predict(history, sigma) {
      const computed = history.map(h => stepOf(h.sigma));
      const weights = forecast.weights({ computed, at: stepOf(sigma), sigmas });
      return tf.tidy(() => {
        const products = weights.flatMap((weight, i) => {
          const value = history[i]?.value;
          return weight !== 0 && value ? [tf.mul(value, weight)] : [];
        });
        return products.reduce((sum, product) => tf.add(sum, product));
      });
    },
  };
}

/**
 * Finite differences of the computed outputs as weights of these, by order: `Δ⁰` is the last output, `Δⁱ` the change of
 * `Δⁱ⁻¹` since the computed step before, for every step between. There is one order less than there are outputs.
 */
export function differences(computed: readonly number[], order: number): number[][] {
  let level: number[][] = computed.map((_, k) => computed.map((__, n) => Number(n === k)));
  const found = [level[0] as number[]];
  for (let i = 1; i <= order && level.length > 1; i++) {
    level = level.slice(1).map((before, k) => {
      const gap = (computed[k] as number) - (computed[k + 1] as number);
      return before.map((value, n) => ((level[k]?.[n] as number) - value) / gap);
    });
    found.push(level[0] as number[]);
  }
  return found;
}

/**
 * A series in the number of steps since the last computed one, `Σ Δⁱ / i! · basis(i, distance)`.
 * @param order highest order; lower where too few outputs are computed
 * @param basis `basis(0, x)` is 1; `xⁱ` gives Taylor's
 */
export function seriesForecast(order: number, basis: (i: number, x: number) => number): Forecast {
  return {
    depth: order + 1,
    weights({ computed, at }) {
      const distance = at - (computed[0] as number);
      let factorial = 1;
      return differences(computed, order).reduce<number[]>((sum, difference, i) => {
        factorial *= Math.max(1, i);
        const scale = basis(i, distance) / factorial;
        return difference.map((value, n) => (sum[n] ?? 0) + scale * value);
      }, []);
    },
  };
}

/** TaylorSeer's forecast (arXiv 2503.06923) of outputs, on whatever schedule. */
export const taylorForecast = (order: number): Forecast => seriesForecast(order, (i, x) => x ** i);
