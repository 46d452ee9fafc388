import type { z } from 'zod';
import { CheckpointError, ConfigError } from '../errors';
import type { Denoiser } from '../transformer/denoiser';
import type { ParameterTable, WeightStore } from '../weights/parameters';
import { cogVideoXConfig, cogVideoXParameters, createCogVideoX } from './cogvideox/transformer';
import { createFlux, fluxConfig, fluxParameters } from './flux/transformer';
import { createOpenSora, openSoraConfig, openSoraParameters } from './open-sora/transformer';
import { createWan, wanConfig, wanParameters } from './wan/transformer';

/** What ertacache knows of one class of diffusion transformer. */
export interface ModelClass<Config = unknown> {
  /** Accepts the hub's `config.json`. */
  readonly schema: z.ZodType<Config>;
  /** Every parameter of a model with this configuration. */
  parameters(config: Config): ParameterTable;
  /** The denoiser over loaded weights, which stay the store's. */
  create(config: Config, weights: WeightStore): Denoiser;
  /** Prefix of every group of parameters that is used together, in order: the unit of offloading. */
  blockNames(config: Config): string[];
}

const numbered = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}.${i}`);

function define<Config>(model: ModelClass<Config>): ModelClass {
  return model as unknown as ModelClass;
}

const classes = new Map<string, ModelClass>([
  [
    'FluxTransformer2DModel',
    define({
      schema: fluxConfig,
      parameters: fluxParameters,
      create: (config, weights) => createFlux(config, weights) as Denoiser,
      blockNames: c => [
        ...numbered('transformer_blocks', c.num_layers),
        ...numbered('single_transformer_blocks', c.num_single_layers),
      ],
    }),
  ],
  [
    'WanTransformer3DModel',
    define({
      schema: wanConfig,
      parameters: wanParameters,
      create: (config, weights) => createWan(config, weights) as Denoiser,
      blockNames: c => numbered('blocks', c.num_layers),
    }),
  ],
  [
    'CogVideoXTransformer3DModel',
    define({
      schema: cogVideoXConfig,
      parameters: cogVideoXParameters,
      create: (config, weights) => createCogVideoX(config, weights) as Denoiser,
      blockNames: c => numbered('transformer_blocks', c.num_layers),
    }),
  ],
  [
    'STDiT3',
    define({
      schema: openSoraConfig,
      parameters: openSoraParameters,
      create: (config, weights) => createOpenSora(config, weights) as Denoiser,
      blockNames: c =>
        Array.from({ length: c.depth }, (_, i) => [`spatial_blocks.${i}`, `temporal_blocks.${i}`]).flat(),
    }),
  ],
]);

/** Names of the transformer classes that can be run. */
export function modelClassNames(): string[] {
  return [...classes.keys()];
}

/** @throws CheckpointError naming a class that ertacache does not know */
export function modelClass(className: string): ModelClass {
  const found = classes.get(className);
  if (!found) {
    throw new CheckpointError('config_class', `The class "${className}" is not one that ertacache runs.`, {
      hint: `Known classes: ${modelClassNames().join(', ')}.`,
    });
  }
  return found;
}
