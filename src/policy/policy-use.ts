import type { Job, PipelineInfo } from '../sampling/pipeline';
import type { PolicyUse } from './data';

/** The run of a job, as policies are checked against it. */
export function policyUse(info: PipelineInfo, guidance: number, { sigmas, base }: Job): PolicyUse {
  const whole = base ?? { sigmas, skipped: 0 };
  return { model: info, scheduler: info.schedulerClass, guidance, ...whole };
}
