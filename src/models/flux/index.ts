import { family } from '../family';
import { kl } from '../vae/kl';
import { fluxAdapterKeys } from './adapter-keys';
import { stackNames } from './blocks';
import { fluxGolden } from './golden';
import { fluxKeys } from './keys';
import { LATENTS_A_TOKEN } from './latents';
import { fluxPipeline } from './pipeline';
import { fluxPixels } from './pixels';
import { fluxPresets } from './presets';
import { fluxSignature } from './signature';
import { fluxSynthetic } from './synthetic';
import { fluxPolynomials } from './teacache';
import { createFlux, fluxConfig, fluxParameters } from './transformer';
import { fluxUsualRun } from './usual';
import { fluxWorkload } from './workload';

export { chroma } from './chroma';

/** FLUX.1 (Black Forest Labs, 2024). */
export const flux = family({
  className: 'FluxTransformer2DModel',
  title: 'FLUX.1',
  schema: fluxConfig,
  parameters: fluxParameters,
  blockNames: c => stackNames(c),
  create: createFlux,
  usualSize: () => ({ height: 1024, width: 1024, frames: 1 }),
  usualRun: fluxUsualRun,
  workload: (c, size, textTokens) => fluxWorkload(c, size, textTokens),
  presets: fluxPresets,
  keys: fluxKeys,
  adapterKeys: fluxAdapterKeys,
  autoencoders: { AutoencoderKL: kl },
  // Image to image is the same pipeline with a picture to begin with.
  pipelineClasses: ['FluxPipeline', 'FluxImg2ImgPipeline'],
  index: {
    parts: [
      ...['transformer', 'vae', 'scheduler', 'text_encoder', 'tokenizer', 'text_encoder_2', 'tokenizer_2'],
      // For adapters that are loaded apart.
      ...['image_encoder', 'feature_extractor'],
    ],
    unsupported: { controlnet: 'a ControlNet' },
  },
  joins: c => ({
    latents: c.in_channels / LATENTS_A_TOKEN,
    outputs: (c.out_channels ?? c.in_channels) / LATENTS_A_TOKEN,
    texts: { text_encoder: c.pooled_projection_dim, text_encoder_2: c.joint_attention_dim },
  }),
  pipeline: fluxPipeline,
  pixels: fluxPixels,
  signature: fluxSignature,
  golden: fluxGolden,
  synthetic: fluxSynthetic,
  polynomials: fluxPolynomials,
});
