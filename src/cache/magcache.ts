import { PolicyError } from '../errors';
import { roundHalfToEven } from '../nn/rounding';
import { ertacache } from './ertacache';
import type { CachePolicy, Decision, StepInfo } from './policy';
import { requireThreshold } from './threshold';

/** What MagCache has accumulated at a step, before it decides. */
export interface MagCacheSignal {
  /** Product of the ratios since the last computed step. */
  readonly ratio: number;
  /** Sum of `|1 - ratio|` over the steps since then. */
  readonly error: number;
  /** How many steps that is, this one included. */
  readonly skipped: number;
}

/** Settings of MagCache. */
export interface MagCacheOptions {
  /** Reuse while the accumulated error is no more than this. */
  readonly threshold: number;
  /** How the residual's magnitude changes from step to step, measured once on the model; any number of steps. */
  readonly ratios: readonly number[];
  /** Most steps reused in a row; 3 unless given. */
  readonly maxSkipSteps?: number | undefined;
  /** Share of the steps, from the first, that are always computed; 0.2 unless given. */
  readonly retentionRatio?: number | undefined;
  /** Told at every step of every branch what it was decided on; nothing in the retained first part. */
  readonly onSignal?: (step: StepInfo, signal: MagCacheSignal | undefined) => void;
}

/** Magnitude ratios of FLUX.1-dev over 28 steps, as diffusers publishes them. */
export const FLUX_MAG_RATIOS: readonly number[] = [
  1, 1.21094, 1.11719, 1.07812, 1.0625, 1.03906, 1.03125, 1.03906, 1.02344, 1.03125, 1.02344, 0.98047, 1.01562, 1.00781,
  1, 1.00781, 1, 1.00781, 1, 1, 0.99609, 0.99609, 0.98047, 0.98828, 0.96484, 0.95703, 0.93359, 0.89062,
];

/**
 * MagCache (arXiv 2506.09045; diffusers `MagCacheConfig`): measured ratios of the residual's magnitude say how wrong a
 * kept residual has become; it is reused within limits on that error and on the steps in a row, after a first part
 * that is always computed. The decisions depend on nothing in the picture, so they are made before a run begins.
 * @param options threshold and ratios; the other settings as in the reference by default
 * @returns the caching method; for models that can be cut in three
 * @throws PolicyError for settings out of range
 */
export function magcache(options: MagCacheOptions): CachePolicy {
  requireMagCache(options);
  return {
    name: 'magcache',
    begin(run) {
      const plan = magcachePlan(run.steps, options);
      const cache = ertacache({
        reused: plan.map(p => p.decision === 'reuse'),
        site: 'hidden',
        timestep: { form: 'off', phi: [] },
        rectify: { form: 'off' },
      }).begin(run);
      return {
        ...cache,
        branch() {
          const branch = cache.branch();
          return {
            ...branch,
            evaluate(step, evaluation) {
              options.onSignal?.(step, plan[step.index]?.signal);
              return branch.evaluate(step, evaluation);
            },
          };
        },
      };
    },
  };
}

/** Every decision of a run of `steps` steps, and what it is made on. */
export function magcachePlan(
  steps: number,
  { threshold, ratios, maxSkipSteps = 3, retentionRatio = 0.2 }: Omit<MagCacheOptions, 'onSignal'>,
): { readonly decision: Decision; readonly signal?: MagCacheSignal }[] {
  const f32 = Math.fround;
  const scales = nearestRatios(ratios, steps).map(f32);
  const retained = Math.floor(retentionRatio * steps + 0.5);
  let [ratio, error, skipped] = [1, 0, 0];
  return scales.map((scale, index) => {
    if (index < retained) return { decision: 'compute' };
    // The reference accumulates in float32.
    ratio = f32(ratio * scale);
    error = f32(error + Math.abs(f32(1 - ratio)));
    skipped++;
    const signal = { ratio, error, skipped };
    // At the first step nothing is kept, whatever part is retained.
    if (index > 0 && error <= f32(threshold) && skipped <= maxSkipSteps) return { decision: 'reuse', signal };
    [ratio, error, skipped] = [1, 0, 0];
    return { decision: 'compute', signal };
  });
}

/** `ratios` for another number of steps: those of the nearest steps, halves to the even one, in float32. */
export function nearestRatios(ratios: readonly number[], steps: number): number[] {
  if (ratios.length === steps) return [...ratios];
  if (steps === 1) return ratios.slice(-1);
  const scale = Math.fround((ratios.length - 1) / (steps - 1));
  return Array.from({ length: steps }, (_, i) => ratios[roundHalfToEven(Math.fround(i * scale))] as number);
}

function requireMagCache({ threshold, ratios, maxSkipSteps = 3, retentionRatio = 0.2 }: MagCacheOptions): void {
  requireThreshold('MagCache', threshold);
  if (ratios.length === 0 || !ratios.every(r => Number.isFinite(r) && r > 0)) {
    throw new PolicyError('MagCache needs measured ratios, all of them positive numbers.', {
      hint: 'Measure them on the model with `ertacache calibrate --method magcache`.',
    });
  }
  if (!(maxSkipSteps >= 0) || !(retentionRatio >= 0 && retentionRatio <= 1)) {
    throw new PolicyError(
      `MagCache cannot skip ${maxSkipSteps} steps in a row or retain a share of ${retentionRatio} of the steps.`,
      { hint: 'Skip a number of steps from 0, and retain a share between 0 and 1.' },
    );
  }
}
