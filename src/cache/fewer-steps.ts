import { PolicyError } from '../errors';
import { none } from './none';
import type { CachePolicy } from './policy';

/**
 * No cache, fewer steps: the baseline that every cache has to beat. The run takes `computed` steps over the same noise
 * schedule, spaced as evenly as it was.
 * @param computed steps to take, at least 1
 * @returns a method that caches nothing and moves the noise levels
 * @throws PolicyError unless the number is whole and at least 1
 */
export function fewerSteps(computed: number): CachePolicy {
  if (!Number.isInteger(computed) || computed < 1) {
    throw new PolicyError(`A run cannot have ${computed} steps.`, { hint: 'Ask for a whole number of steps from 1.' });
  }
  return { ...none(), name: 'fewer-steps', adjust: sigmas => resampleGrid(sigmas, computed) };
}

/** `steps + 1` noise levels at even places along `sigmas`, straight between its levels; both ends stay. */
export function resampleGrid(sigmas: readonly number[], steps: number): number[] {
  const last = sigmas.length - 1;
  return Array.from({ length: steps + 1 }, (_, i) => {
    const place = (i * last) / steps;
    const below = Math.min(Math.floor(place), last - 1);
    const [from, to] = [sigmas[below] as number, sigmas[below + 1] as number];
    return i === steps ? (sigmas[last] as number) : from + (to - from) * (place - below);
  });
}
