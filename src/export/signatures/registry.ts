import { UnsupportedError } from '../../errors';
import { cogVideoXSignature } from './cogvideox';
import { fluxSignature } from './flux';
import { openSoraSignature } from './open-sora';
import type { Signature } from './signature';
import { wanSignature } from './wan';

const signatures = new Map<string, Signature>([
  ['FluxTransformer2DModel', fluxSignature as Signature],
  ['WanTransformer3DModel', wanSignature as Signature],
  ['CogVideoXTransformer3DModel', cogVideoXSignature as Signature],
  ['STDiT3', openSoraSignature as Signature],
]);

/** Names of the transformer classes that can be exported. */
export function exportedClassNames(): string[] {
  return [...signatures.keys()];
}

/** @throws UnsupportedError for a class that cannot be exported */
export function signatureOf(className: string): Signature {
  const found = signatures.get(className);
  if (found) return found;
  throw new UnsupportedError(`The class "${className}" cannot be exported as a graph.`, {
    hint: `These can: ${exportedClassNames().join(', ')}.`,
  });
}
