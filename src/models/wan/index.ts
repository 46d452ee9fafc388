import { family, numbered } from '../family';
import { wanAutoencoder } from './autoencoder';
import { wanGolden } from './golden';
import { wanConfigOf, wanKeys } from './keys';
import { wanPipeline } from './pipeline';
import { wanPixels } from './pixels';
import { wanPresets } from './presets';
import { wanSignature } from './signature';
import { wanSynthetic } from './synthetic';
import { wanPolynomials } from './teacache';
import { createWan, wanConfig, wanParameters } from './transformer';
import { WAN_RUN, WAN_SIZE } from './usual';
import { wanWorkload } from './workload';

/** Wan2.1 and Wan2.2-A14B text to video (Wan Team, 2025). */
export const wan = family({
  className: 'WanTransformer3DModel',
  title: 'Wan2.1',
  schema: wanConfig,
  parameters: wanParameters,
  blockNames: c => numbered('blocks', c.num_layers),
  create: createWan,
  usualSize: () => WAN_SIZE,
  usualRun: () => WAN_RUN,
  workload: wanWorkload,
  presets: wanPresets,
  keys: wanKeys,
  configOf: wanConfigOf,
  autoencoders: { AutoencoderKLWan: wanAutoencoder },
  pipelineClasses: ['WanPipeline'],
  index: {
    parts: ['transformer', 'vae', 'scheduler', 'text_encoder', 'tokenizer'],
    experts: true,
    unsupported: {
      expand_timesteps: 'a time for every token (Wan2.2-TI2V-5B)',
    },
  },
  joins: c => ({
    latents: c.in_channels,
    outputs: c.out_channels ?? c.in_channels,
    texts: { text_encoder: c.text_dim },
  }),
  pipeline: wanPipeline,
  pixels: wanPixels,
  signature: wanSignature,
  golden: wanGolden,
  synthetic: wanSynthetic,
  polynomials: wanPolynomials,
});
