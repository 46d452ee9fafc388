import { PolicyError } from '../errors';
import { type Combined, itself, sumOf, weightsOf } from './combined';
import { type Forecast, forecasting, type Outlook } from './forecast';
import type { CachePolicy } from './policy';
import type { SiteName } from './sites';

/**
 * How the average velocity is used: by one jump over all reused steps (`interval`, the paper's definition), anew at each
 * of them (`stepwise`, the released code), or `corrected`. The average of velocities that Euler steps took lies at the
 * middle of the first and the last of them, not at the middle of the way: measured so, a series that changes evenly is
 * continued exactly.
 */
export type MeanCacheForm = 'corrected' | 'interval' | 'stepwise';

/** Settings of MeanCache. */
export interface MeanCacheOptions {
  /** Which steps are rebuilt instead of computed. */
  readonly reused: readonly boolean[];
  /** Over how many steps back the derivative is taken; 2 unless given, and 1 is plain reuse. */
  readonly window?: number | undefined;
  /** How the average is used; `corrected` unless given. */
  readonly form?: MeanCacheForm | undefined;
  /** What is forecast; `velocity` unless given. */
  readonly site?: SiteName | undefined;
}

/**
 * MeanCache (arXiv 2601.19961): in place of the last velocity, reused steps take the average velocity from there on,
 * `û = v - (s - t) J`. Its derivative along the run comes from earlier steps, `J = (v_r - u(r, t)) / (t - r)`, where
 * `u(r, t)` is the average velocity that led from the earlier noise level r to t. The schedule is the caller's: the
 * paper's, a shortest path with suppressed peaks, is not built here.
 *
 * With Euler steps an average velocity is the average of the velocities taken, so all of it is a weighted sum of computed
 * outputs.
 * @param options schedule, window, form and site
 * @returns the caching method
 * @throws PolicyError for a window that is no whole number from 1
 */
export function meancache({ reused, window = 2, form = 'corrected', site }: MeanCacheOptions): CachePolicy {
  if (!Number.isInteger(window) || window < 1) {
    throw new PolicyError(`MeanCache cannot look ${window} steps back.`, { hint: 'Give a whole number from 1.' });
  }
  return forecasting({ name: 'meancache', reused, site, forecast: averageForecast(reused, window, form) });
}

/** The forecast by average velocities. Every output counts on, through the velocities that were rebuilt from it. */
export function averageForecast(reused: readonly boolean[], window: number, form: MeanCacheForm): Forecast {
  return {
    depth: Number.POSITIVE_INFINITY,
    weights(whole) {
      // Where another model takes over, the run begins anew at the first step that is kept.
      const first = Math.min(...whole.computed);
      const outlook = {
        computed: whole.computed.map(step => step - first),
        at: whole.at - first,
        sigmas: whole.sigmas.slice(first),
      };
      const { computed, at, sigmas } = outlook;
      const known = new Set(computed);
      const taken: Combined[] = [];
      for (let step = 0; step <= at; step++) {
        if (known.has(step)) taken.push(itself(step));
        else if (form === 'interval') taken.push(overInterval(step, taken, reused.slice(first), window, outlook));
        else if (form === 'corrected') taken.push(alongLine(step, taken, window, outlook));
        else {
          const slope = derivative(step, taken, window, sigmas);
          taken.push(sumOf([[1, taken[step - 1] as Combined], ...scaled(slope, -length(sigmas, step, step + 1))]));
        }
      }
      return weightsOf(taken[at] as Combined, computed);
    },
  };
}

const length = (sigmas: readonly number[], from: number, to: number): number =>
  (sigmas[to] as number) - (sigmas[from] as number);

const scaled = (value: Combined | undefined, factor: number): [number, Combined][] => (value ? [[factor, value]] : []);

/**
 * `(v_r - u(r, t)) / (t - r)` at the beginning of a step; nothing where there is no way.
 * @param last the step that the way is measured to; `step` itself unless given
 */
function derivative(
  step: number,
  taken: readonly Combined[],
  window: number,
  sigmas: readonly number[],
  last = step,
): Combined | undefined {
  const from = Math.max(0, step - window);
  if (from >= last) return undefined;
  const whole = length(sigmas, from, step);
  const average = sumOf(
    Array.from({ length: step - from }, (_, k) => [
      length(sigmas, from + k, from + k + 1) / whole,
      taken[from + k] as Combined,
    ]),
  );
  const way = length(sigmas, from, last);
  return sumOf([
    [1 / way, taken[from] as Combined],
    [-1 / way, average],
  ]);
}

/** The velocity of a reused step on the line that the last computed one and the derivative there give. */
function alongLine(step: number, taken: readonly Combined[], window: number, { computed, sigmas }: Outlook): Combined {
  const last = computed.find(c => c < step) as number;
  const slope = derivative(last, taken, window, sigmas, last - 1);
  return sumOf([[1, taken[last] as Combined], ...scaled(slope, -2 * length(sigmas, last, step))]);
}

/**
 * The velocity of the reused steps of a cycle, the same for all: together with the computed step, which takes its own,
 * they lead as far as the average velocity over the whole cycle does.
 */
function overInterval(
  step: number,
  taken: readonly Combined[],
  reused: readonly boolean[],
  window: number,
  { computed, sigmas }: Outlook,
): Combined {
  const last = computed.find(c => c < step) as number;
  const after = reused.findIndex((reuse, i) => i > step && !reuse);
  const end = after === -1 ? sigmas.length - 1 : after;
  const whole = length(sigmas, last, end);
  const left = length(sigmas, last + 1, end);
  const own = taken[last] as Combined;
  const slope = derivative(last, taken, window, sigmas);
  // (whole · û - first · v) / left, where û = v - whole · J and left = whole - first.
  return sumOf([[1, own], ...scaled(slope, (-whole * whole) / left)]);
}
