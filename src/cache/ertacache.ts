import { PolicyError } from '../errors';
import { type FidelityBound, stepsOf } from './bound';
import { checkRectification, requireCorrects } from './check-rectify';
import { corrector } from './corrector';
import type { Familiar } from './familiar';
import type { CachePolicy, CacheRun } from './policy';
import { type Predictor, reuseLast, taylor } from './predictor';
import type { Rectification } from './rectify';
import { residualBranch } from './residual';
import { type SiteName, site } from './sites';
import { adjustedLevels, type TimeAdjustment } from './time-grid';

/** Everything that calibration decides. */
export interface ErtaSettings {
  /** The method's name in receipts and reports; `ertacache` unless given. */
  readonly name?: string;
  /** Which steps are rebuilt instead of computed. The first never is. */
  readonly reused: readonly boolean[];
  /** Where the residual is taken. */
  readonly site: SiteName;
  /** Strength of the Taylor extrapolation of the residual; 0 reuses it as it is. */
  readonly taylor?: number;
  /** How step lengths answer to reuse, and φ for every step, 0 … 1; or the noise levels themselves. */
  readonly timestep: TimeAdjustment;
  /** How outputs are corrected, with the coefficients. */
  readonly rectify: Rectification;
  /** What the runs of the calibration looked like, where guidance tells. */
  readonly familiar?: Familiar | undefined;
  /** What pictures keep at least, where that was measured. */
  readonly bound?: FidelityBound | undefined;
}

/** How kept residuals are carried forward. */
export function predictorOf(strength = 0): Predictor {
  return strength === 0 ? reuseLast : taylor(strength);
}

/**
 * ERTACache (arXiv 2508.21091): a calibrated schedule of reuse, a trajectory-aware adjustment of the step lengths,
 * and a closed-form rectification of the rebuilt output.
 * @param settings what calibration decided; `policySettings` reads them from a policy
 * @returns the caching method
 * @throws UsageError on a site that there is not; PolicyError when the settings contradict each other, and when a run has
 *   other steps, parts or channels
 */
export function ertacache(settings: ErtaSettings): CachePolicy {
  const { reused, timestep, rectify } = settings;
  if (reused[0]) throw new PolicyError('The first step of a policy must be computed: there is nothing to reuse yet.');
  checkRectification(rectify, reused);
  const place = site(settings.site);
  return {
    name: settings.name ?? 'ertacache',
    ...(settings.familiar && { familiar: settings.familiar }),
    ...(settings.bound && { bound: settings.bound, signals: stepsOf(settings.bound) }),
    adjust: sigmas => {
      requireSteps(settings, sigmas.length - 1);
      return adjustedLevels(sigmas, reused, timestep);
    },
    begin(run): CacheRun {
      requireSteps(settings, run.steps);
      requireCorrects(rectify, run);
      const { terms: _, ...corrected } = corrector(rectify);
      return {
        branch: () =>
          residualBranch({
            site: place,
            predictor: predictorOf(settings.taylor),
            decide: step => (reused[step.index] ? 'reuse' : 'compute'),
          }),
        ...corrected,
      };
    },
  };
}

/** @throws PolicyError unless a run has as many steps as the schedule */
export function requireSteps(settings: Pick<ErtaSettings, 'reused'>, steps: number): void {
  if (steps !== settings.reused.length) {
    throw new PolicyError(`The policy is for ${settings.reused.length} steps, and this run has ${steps}.`, {
      hint: `Run ${settings.reused.length} steps (--steps ${settings.reused.length}), or resample the policy to ${steps} steps.`,
    });
  }
}
