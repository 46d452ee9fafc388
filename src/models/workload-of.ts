import { parseConfig } from '../io/parse-config';
import { familyOf } from './families';
import type { Demand, Workload } from './workload';

/**
 * The work of a model of this class and configuration.
 * @param demand what is left out is as usual for the model
 * @throws UsageError when the model cannot draw that size
 */
export function workload(className: string, config: unknown, demand: Demand = {}): Workload {
  const family = familyOf(className);
  const parsed = parseConfig(family.schema, config, `The configuration of ${className}`);
  const usual = family.usualSize(parsed);
  const { height = usual.height, width = usual.width, frames = usual.frames, textTokens } = demand;
  return family.workload(parsed, { height, width, frames }, textTokens);
}
