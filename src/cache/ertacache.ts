import { PolicyError } from '../errors';
import { release, share } from '../nn/scope';
import { type CachePolicy, type CacheRun, tensorBytes } from './policy';
import { type History, type Predictor, reuseLast, taylor } from './predictor';
import { applyAffine, combine, LSQ_DEPTH, lsqTerms, type Parts, type Rectification } from './rectify';
import { residualBranch } from './residual';
import { type SiteName, site } from './sites';
import { adjustGrid, type TimestepForm } from './time-grid';

/** Everything that calibration decides. */
export interface ErtaSettings {
  readonly name?: string;
  /** Which steps are rebuilt instead of computed. The first never is. */
  readonly reused: readonly boolean[];
  readonly site: SiteName;
  /** Strength of the Taylor extrapolation of the residual; 0 reuses it as it is. */
  readonly taylor?: number;
  readonly timestep: { readonly form: TimestepForm; readonly phi: readonly number[] };
  readonly rectify: Rectification;
}

/** How kept residuals are carried forward. */
export function predictorOf(strength = 0): Predictor {
  return strength === 0 ? reuseLast : taylor(strength);
}

/**
 * ERTACache (arXiv 2508.21091): a calibrated schedule of reuse, a trajectory-aware adjustment of the step lengths,
 * and a closed-form rectification of the rebuilt output.
 * @throws PolicyError when a run has another number of steps than the policy
 */
export function ertacache(settings: ErtaSettings): CachePolicy {
  const { reused, timestep, rectify } = settings;
  if (reused[0]) throw new PolicyError('The first step of a policy must be computed: there is nothing to reuse yet.');
  return {
    name: settings.name ?? 'ertacache',
    adjust: sigmas => {
      requireSteps(settings, sigmas.length - 1);
      return adjustGrid(sigmas, reused, timestep.phi, timestep.form);
    },
    begin(run): CacheRun {
      requireSteps(settings, run.steps);
      return {
        branch: () =>
          residualBranch({
            site: site(settings.site),
            predictor: predictorOf(settings.taylor),
            decide: step => (reused[step.index] ? 'reuse' : 'compute'),
          }),
        ...(rectify.form === 'off' ? { dispose() {} } : corrector(rectify)),
      };
    },
  };
}

function requireSteps(settings: ErtaSettings, steps: number): void {
  if (steps !== settings.reused.length) {
    throw new PolicyError(`The policy is for ${settings.reused.length} steps, and this run has ${steps}.`, {
      hint: `Run with --steps ${settings.reused.length}, or resample the policy to ${steps} steps.`,
    });
  }
}

/** Corrects outputs; remembers computed ones where the form combines them. */
function corrector(rectify: Exclude<Rectification, { form: 'off' }>): Required<Omit<CacheRun, 'branch'>> {
  let history: History<Parts> = [];
  const forget = (from: number): void => {
    release(history.slice(from));
    history = history.slice(0, from);
  };
  return {
    correct(step, sample, output, decision) {
      if (rectify.form === 'lsq') {
        const weights = rectify.steps[step.index];
        const corrected = weights ? combine(weights, lsqTerms(output.parts, sample, history)) : output.value.clone();
        if (decision === 'compute') {
          history = [{ sigma: step.sigma, value: share(output.parts) }, ...history];
          forget(LSQ_DEPTH);
        }
        return corrected;
      }
      const coefficients = decision === 'compute' ? null : rectify.steps[step.index];
      return coefficients
        ? applyAffine(output.value, coefficients, rectify.form, rectify.channelAxis)
        : output.value.clone();
    },
    bytes: () => tensorBytes(history.flatMap(h => Object.values(h.value))),
    dispose: () => forget(0),
  };
}
