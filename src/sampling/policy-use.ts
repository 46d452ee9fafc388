import type { PolicyUse } from '../policy/data';
import type { Job, PipelineInfo } from './pipeline';

/** The run of a job, as policies are checked against it. */
export function policyUse(info: PipelineInfo, guidance: number, { sigmas, base }: Job): PolicyUse {
  const whole = base ?? { sigmas, skipped: 0 };
  return { model: info, scheduler: info.schedulerClass, guidance, ...whole };
}
