import { type Forecast, forecasting } from './forecast';
import type { CachePolicy } from './policy';
import type { SiteName } from './sites';

/** Settings of ZEUS. */
export interface ZeusOptions {
  /** Which steps are rebuilt instead of computed. */
  readonly reused: readonly boolean[];
  /**
   * How far the line through the last two outputs is followed: `unit` as in the released code, as far again as they lie
   * apart; `step`, to the step itself. `step` unless given.
   */
  readonly reach?: 'unit' | 'step' | undefined;
  /** What is forecast; `velocity` unless given. */
  readonly site?: SiteName | undefined;
}

/**
 * ZEUS (arXiv 2604.01552): of the steps after a computed one, every second, from the first on, is extrapolated from the
 * last two computed outputs, `ψ + (ψ - ψ')`; the others take the last output as it is, so that no two steps in a row
 * are extrapolated.
 * @param options schedule, reach and site
 * @returns the caching method
 */
export function zeus({ reused, reach = 'step', site }: ZeusOptions): CachePolicy {
  return forecasting({ name: 'zeus', reused, site, forecast: interleavedForecast(reach) });
}

/** Extrapolates at odd distances and repeats at even ones. */
export function interleavedForecast(reach: 'unit' | 'step'): Forecast {
  return {
    depth: 2,
    weights({ computed: [last, before], at }) {
      const distance = at - (last as number);
      if (before === undefined || distance % 2 === 0) return [1];
      const share = reach === 'unit' ? 1 : distance / ((last as number) - before);
      return [1 + share, -share];
    },
  };
}
