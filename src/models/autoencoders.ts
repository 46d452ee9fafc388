import { CheckpointError } from '../errors';
import { families } from './families';
import type { AutoencoderClass } from './vae/autoencoder';

const classes = new Map<string, AutoencoderClass>(families.flatMap(family => Object.entries(family.autoencoders)));

/**
 * Parameters that decoding does not touch, by the names of all classes: with `LoadOptions.ignore` and a table
 * without them, a text-to-picture run need not hold the encoder.
 */
export const encoderOnly = /^(spatial_vae\.module\.|temporal_vae\.)?(encoder|quant_conv)\./;

/** Parameters that encoding does not touch. */
export const decoderOnly = /^(?!(spatial_vae\.module\.|temporal_vae\.)?(encoder|quant_conv)\.)/;

/** Names of the autoencoder classes that can be run. */
export function autoencoderClassNames(): string[] {
  return [...classes.keys()];
}

/** @throws CheckpointError naming a class that ertacache does not know */
export function autoencoderOf(className: string): AutoencoderClass {
  const found = classes.get(className);
  if (found) return found;
  throw new CheckpointError('config_class', `The autoencoder class "${className}" is not one that ertacache runs.`, {
    hint: `Known classes: ${autoencoderClassNames().join(', ')}.`,
  });
}
