import { cutSettings } from '../cache/cut';
import { ertacache } from '../cache/ertacache';
import type { CachePolicy } from '../cache/policy';
import { type Policy, type PolicyUse, policySettings, requireFits } from './data';
import { requireCaching } from './require-policy';

/**
 * A calibrated policy as a caching method for one run, cut where the run begins with a picture; a caching method as it
 * is.
 * @throws PolicyError when a calibrated policy is not for this run
 */
export function usePolicy(choice: Policy | CachePolicy, use: PolicyUse): CachePolicy {
  requireCaching('policy', choice);
  if ('begin' in choice) return choice;
  requireFits(choice.data, use);
  return ertacache(cutSettings(policySettings(choice, use.guidance), use.skipped ?? 0));
}
