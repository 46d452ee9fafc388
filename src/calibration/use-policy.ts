import { ertacache } from '../cache/ertacache';
import type { CachePolicy } from '../cache/policy';
import { type Policy, type PolicyUse, policySettings, requireFits } from './policy-data';

/**
 * A calibrated policy as a caching method for one run; a caching method as it is.
 * @throws PolicyError when a calibrated policy is not for this run
 */
export function usePolicy(choice: Policy | CachePolicy, use: PolicyUse): CachePolicy {
  if ('begin' in choice) return choice;
  requireFits(choice.data, use);
  return ertacache(policySettings(choice));
}
