import { PolicyError } from '../errors';
import { families } from './families';
import type { PublishedPolynomial } from './polynomial';

/** Every polynomial that TeaCache's authors published for a model that ertacache runs. */
export const publishedPolynomials: readonly PublishedPolynomial[] = families.flatMap(
  family => family.polynomials ?? [],
);

/**
 * The published coefficients for a preset, as `teacache` takes them: highest power first.
 * @param preset name of a published model, such as `flux-dev`
 * @returns coefficients, highest power first
 * @throws PolicyError when none were published
 */
export function publishedPolynomial(preset: string): readonly number[] {
  const found = publishedPolynomials.find(p => p.preset === preset && p.signal === 'own');
  if (found) return found.coefficients;
  const known = publishedPolynomials.filter(p => p.signal === 'own').map(p => p.preset);
  throw new PolicyError(`No polynomial of TeaCache was published for "${preset}".`, {
    hint: `Published are ${known.join(', ')}; for other models fit one with \`ertacache calibrate --method teacache\`.`,
  });
}
