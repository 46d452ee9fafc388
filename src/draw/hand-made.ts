import { type Policy, type PolicyUse, parsePolicy } from '../policy/data';

/** The name of policies whose schedule somebody made by hand. */
export const HAND_MADE = 'by-hand';

/**
 * A policy with a schedule made by hand: the velocity of the last computed step is used again, and nothing is corrected. All
 * of it follows from the schedule and the run, so that a receipt is enough to make it again.
 * @param schedule `#` computed, `.` reused, one character for each step of the run
 * @param use the run
 * @param modelClass class of the model's transformer
 * @throws PolicyError for a schedule that is not one of such a run
 */
export function policyByHand(
  schedule: string,
  { model: { id, hash, loras }, scheduler, guidance, steering, sigmas }: PolicyUse,
  modelClass: string,
): Policy {
  const data = {
    format: 'ertacache-policy',
    version: 1,
    name: HAND_MADE,
    model: { id, hash, class: modelClass, ...(loras && { loras }) },
    scheduler,
    guidance,
    sigmas: [...sigmas],
    ...(steering && { steering }),
    schedule,
    site: 'velocity',
    taylor: 0,
    timestep: { form: 'off', phi: [] },
    rectify: { form: 'off' },
    search: { method: 'given', note: 'Made by hand; nothing is calibrated.' },
    calibration: { pairs: [], forwards: 0 },
    measured: {},
  };
  return { data: parsePolicy(data, 'The schedule made by hand'), rectify: { form: 'off' } };
}
