import { policyByHand } from '../../draw/hand-made';
import { UsageError } from '../../errors';
import type { Policy } from '../../policy/data';
import type { Pipeline } from '../../sampling/pipeline';
import { policyUse } from '../../sampling/policy-use';
import type { DrawRequest, HandMade } from '../types';

/** @throws UsageError for what is no schedule */
export function requireSchedule(schedule: unknown): string {
  if (typeof schedule === 'string' && /^#[#.]*$/.test(schedule)) return schedule;
  throw new UsageError('A schedule is made of # for computed and . for reused steps, and begins with #.');
}

/**
 * The policy of a schedule made by hand.
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
  const { negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift, size } = run;
  const asked = { negativePrompt, trueCfgScale, guidance2, guidanceInterval, shift, size };
  return policyByHand(schedule, policyUse(info, guidance, levels({ steps, guidance, ...asked })), info.modelClass);
}
