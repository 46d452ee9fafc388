import { PolicyError } from '../../errors';
import type { Policy } from '../../policy/data';
import type { PipelineInfo } from '../../sampling/pipeline';

/** Characters of a model's hash that tell two models apart. */
const SHOWN = 12;

/** @throws PolicyError for a policy of another model; whether it fits a run is asked when one is drawn */
export function requireFitsModel({ data }: Policy, { id, hash }: PipelineInfo): void {
  if (data.model.hash === hash) return;
  throw new PolicyError(
    `The policy was calibrated for the model "${data.model.id}" (${data.model.hash.slice(0, SHOWN)}), not for "${id}" (${hash.slice(0, SHOWN)}).`,
    { hint: 'Calibrate one for this model.' },
  );
}
