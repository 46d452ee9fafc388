import { family, numbered } from '../family';
import { cogVideoXAutoencoder } from './autoencoder';
import { cogVideoXGolden } from './golden';
import { cogVideoXPipeline } from './pipeline';
import { cogVideoXPresets } from './presets';
import { cogVideoXSignature } from './signature';
import { cogVideoXSynthetic } from './synthetic';
import { cogVideoXPolynomials } from './teacache';
import { cogVideoXConfig, cogVideoXParameters, createCogVideoX } from './transformer';
import { COGVIDEOX_RUN, cogVideoXSize } from './usual';
import { cogVideoXWorkload } from './workload';

/** CogVideoX (Zhipu AI, 2024). It is published in no other layout that is safe to read. */
export const cogVideoX = family({
  className: 'CogVideoXTransformer3DModel',
  title: 'CogVideoX',
  schema: cogVideoXConfig,
  parameters: cogVideoXParameters,
  blockNames: c => numbered('transformer_blocks', c.num_layers),
  create: createCogVideoX,
  usualSize: config => cogVideoXSize(config),
  usualRun: () => COGVIDEOX_RUN,
  workload: cogVideoXWorkload,
  presets: cogVideoXPresets,
  autoencoders: { AutoencoderKLCogVideoX: cogVideoXAutoencoder },
  pipelineClasses: ['CogVideoXPipeline'],
  pipeline: cogVideoXPipeline,
  signature: cogVideoXSignature,
  golden: cogVideoXGolden,
  synthetic: cogVideoXSynthetic,
  polynomials: cogVideoXPolynomials,
});
