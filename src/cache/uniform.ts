import { ertacache } from './ertacache';
import type { CachePolicy } from './policy';
import type { SiteName } from './sites';

/** Which of `steps` are reused when `computed` of them are computed, evenly spread from the first. */
export function uniformReuse(steps: number, computed: number): boolean[] {
  const kept = new Set(Array.from({ length: computed }, (_, i) => Math.floor((i * steps) / computed)));
  return Array.from({ length: steps }, (_, i) => !kept.has(i));
}

/**
 * Evenly spread computed steps, plain reuse between them.
 * @param steps denoising steps of the run
 * @param computed how many of them are computed
 * @param site where the residual is taken; `hidden` by default, `velocity` for models that are not cut in three
 * @returns the caching method
 * @throws PolicyError when no step is computed and, when a run begins, unless it has `steps` steps
 */
export function uniform(steps: number, computed: number, site: SiteName = 'hidden'): CachePolicy {
  return ertacache({
    name: 'uniform',
    reused: uniformReuse(steps, computed),
    site,
    timestep: { form: 'off', phi: [] },
    rectify: { form: 'off' },
  });
}
