import { UnsupportedError } from '../../errors';
import { cogVideoXSignature } from '../../models/cogvideox/signature';
import { fluxSignature } from '../../models/flux/signature';
import { openSoraSignature } from '../../models/open-sora/signature';
import type { Signature } from '../../models/signature';
import { wanSignature } from '../../models/wan/signature';

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
