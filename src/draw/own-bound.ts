import type { Bound } from '../cache/bound';
import type { Policy } from '../policy/data';
import type { Pipeline } from '../sampling/pipeline';
import type { FullRequest } from './request';

const plain = (prompt: string): string => prompt.trim().toLowerCase();

/**
 * The bound of a picture as its request allows it: one that was found with the prompts that a model lists says nothing of
 * other prompts, nor of negative ones.
 * @returns null for no bound
 */
export function ownBound(
  bound: Bound | null | undefined,
  { prompt, negativePrompt }: Pick<FullRequest, 'prompt' | 'negativePrompt'>,
  { data }: Pick<Policy, 'data'>,
  { prompts }: Pick<Pipeline['info'], 'prompts'>,
): Bound | null {
  if (!bound) return null;
  if (!data.bound?.listed) return bound;
  const isListed = !negativePrompt && prompts.some(each => plain(each) === plain(prompt));
  return isListed ? bound : null;
}
