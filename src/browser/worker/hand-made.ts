import { UsageError } from '../../errors';
import { type Policy, parsePolicy } from '../../policy/data';
import type { Pipeline } from '../../sampling/pipeline';
import type { DrawRequest, HandMade } from '../types';

/** @throws UsageError for what is no schedule */
export function requireSchedule(schedule: unknown): string {
  if (typeof schedule === 'string' && /^#[#.]*$/.test(schedule)) return schedule;
  throw new UsageError('A schedule is made of # for computed and . for reused steps, and begins with #.');
}

/** The name of policies whose schedule somebody made by hand. */
export const HAND_MADE = 'by-hand';

/**
 * A policy with a schedule made by hand: the velocity of the last computed step is used again, and nothing is corrected.
 * @returns nothing where every step is computed
 * @throws UsageError for what is no schedule of such a run
 */
export function handMade(
  { info, schedule: levels }: Pipeline,
  { schedule }: HandMade,
  run: Omit<DrawRequest, 'policy' | 'init' | 'model'>,
): Policy | undefined {
  requireSchedule(schedule);
  const { steps = schedule.length, guidance = info.defaults.guidance } = run;
  if (steps !== schedule.length) {
    throw new UsageError(`The schedule has ${schedule.length} steps, and the run has ${steps}.`);
  }
  if (!schedule.includes('.')) return undefined;
  const { id, hash, loras, modelClass, schedulerClass } = info;
  const { negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift, size } = run;
  const asked = { negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift, size };
  const { sigmas, steering } = levels({ steps, guidance, ...asked });
  const data = {
    format: 'ertacache-policy',
    version: 1,
    name: HAND_MADE,
    model: { id, hash, class: modelClass, ...(loras && { loras }) },
    scheduler: schedulerClass,
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
