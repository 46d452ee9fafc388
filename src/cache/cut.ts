import { noBound } from './bound';
import { lookBackOf } from './corrector';
import { type ErtaSettings, predictorOf } from './ertacache';
import type { Rectification } from './rectify';

/**
 * The settings of a policy for a run that begins at step `from` of the run it was calibrated for, as image-to-image
 * does: the noise levels are the same ones, the earlier steps are not taken.
 *
 * A reused step is worth what it was in calibration only if it is rebuilt from the same computed steps. So steps are
 * computed until everything that the first reused one looks back on has been computed in this run; from there on the
 * policy holds as it is.
 */
export function cutSettings(settings: ErtaSettings, from: number): ErtaSettings {
  if (from === 0) return settings;
  const depth = lookBack(settings);
  let computed = 0;
  // Once all that is looked back on has been computed, steps are what they were in calibration, corrections included.
  const whole: boolean[] = [];
  const reused = settings.reused.slice(from).map(reuse => {
    whole.push(computed >= depth);
    if (reuse && computed >= depth) return true;
    computed++;
    return false;
  });
  const { timestep, rectify } = settings;
  return {
    ...settings,
    reused,
    // Both were seen at other steps, and after noise alone.
    familiar: undefined,
    bound: noBound(settings.bound),
    timestep: { ...timestep, phi: timestep.phi.slice(from), levels: timestep.levels?.slice(from) },
    rectify: rectify.form === 'off' ? rectify : cutRectification(rectify, from, whole),
  };
}

function cutRectification(rectify: Exclude<Rectification, { form: 'off' }>, from: number, whole: readonly boolean[]) {
  const steps = rectify.steps.slice(from).map((step, i) => (whole[i] ? step : null));
  return { ...rectify, steps } as Rectification;
}

/** How many computed steps a reused one looks back on: for its residual, and for its correction. */
function lookBack({ taylor, rectify }: ErtaSettings): number {
  return Math.max(predictorOf(taylor).depth, lookBackOf(rectify));
}
