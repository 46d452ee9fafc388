import type { Bound } from '../cache/bound';
import type { Policy } from '../policy/data';
import type { Pipeline } from '../sampling/pipeline';
import type { FullRequest } from './request';

const plain = (prompt: string): string => prompt.trim().toLowerCase();

/**
 * The bound of a picture as its request allows it: one that was found with the prompts that a model lists says nothing of
 * other prompts, and none says anything of other negative prompts or of another number type.
 * @returns null for no bound
 */
export function ownBound(
  bound: Bound | null | undefined,
  { prompt, negativePrompt = '' }: Pick<FullRequest, 'prompt' | 'negativePrompt'>,
  { data }: Pick<Policy, 'data'>,
  { prompts, dtype = 'float32' }: Pick<Pipeline['info'], 'prompts' | 'dtype'>,
): Bound | null {
  if (!bound) return null;
  const { listed, negative = '', dtype: found = 'float32' } = data.bound ?? {};
  const isListed = !listed || prompts.some(each => plain(each) === plain(prompt));
  const isSteered = negative === null || negative === negativePrompt;
  return isListed && isSteered && found === dtype ? bound : null;
}
