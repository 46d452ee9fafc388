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
  index: { parts: ['transformer', 'vae', 'scheduler', 'text_encoder', 'tokenizer'] },
  joins: c => ({
    latents: c.in_channels,
    outputs: c.out_channels ?? c.in_channels,
    texts: { text_encoder: c.text_embed_dim },
  }),
  pipeline: cogVideoXPipeline,
  signature: cogVideoXSignature,
  golden: cogVideoXGolden,
  synthetic: cogVideoXSynthetic,
  polynomials: cogVideoXPolynomials,
});
