import type { z } from 'zod';
import { CheckpointError } from '../../errors';
import type { ParameterTable, WeightStore } from '../../weights/parameters';
import { cogVideoXVaeConfig, cogVideoXVaeParameters, createCogVideoXVae } from '../cogvideox/autoencoder';
import { createOpenSoraVae, openSoraVaeConfig, openSoraVaeParameters } from '../open-sora/autoencoder';
import { createWanVae, wanVaeConfig, wanVaeParameters } from '../wan/autoencoder';
import type { Autoencoder } from './autoencoder';
import { createKl, klConfig, klParameters } from './kl';

/** What ertacache knows of one class of autoencoder. */
export interface AutoencoderClass<Config = unknown> {
  /** Accepts the hub's `config.json`. */
  readonly schema: z.ZodType<Config>;
  parameters(config: Config): ParameterTable;
  create(config: Config, weights: WeightStore): Autoencoder;
}

function define<Config>(model: AutoencoderClass<Config>): AutoencoderClass {
  return model as unknown as AutoencoderClass;
}

const classes = new Map<string, AutoencoderClass>([
  ['AutoencoderKL', define({ schema: klConfig, parameters: klParameters, create: createKl })],
  ['AutoencoderKLWan', define({ schema: wanVaeConfig, parameters: wanVaeParameters, create: createWanVae })],
  [
    'AutoencoderKLCogVideoX',
    define({ schema: cogVideoXVaeConfig, parameters: cogVideoXVaeParameters, create: createCogVideoXVae }),
  ],
  [
    'VideoAutoencoderPipeline',
    define({ schema: openSoraVaeConfig, parameters: openSoraVaeParameters, create: createOpenSoraVae }),
  ],
]);

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
export function autoencoderClass(className: string): AutoencoderClass {
  const found = classes.get(className);
  if (found) return found;
  throw new CheckpointError('config_class', `The autoencoder class "${className}" is not one that ertacache runs.`, {
    hint: `Known classes: ${autoencoderClassNames().join(', ')}.`,
  });
}
