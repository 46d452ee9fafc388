import type { PolicyUse } from '../policy/data';
import type { PipelineInfo, RunLevels } from './pipeline';

/** The run of a job, as policies are checked against it. */
export function policyUse(info: PipelineInfo, guidance: number, { sigmas, base, steering }: RunLevels): PolicyUse {
  const whole = base ?? { sigmas, skipped: 0 };
  return { model: info, scheduler: info.schedulerClass, guidance, ...whole, ...(steering && { steering }) };
}
