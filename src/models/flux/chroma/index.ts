import { family } from '../../family';
import { kl } from '../../vae/kl';
import { fluxAdapterKeys } from '../adapter-keys';
import { stackNames } from '../blocks';
import { LATENTS_A_TOKEN } from '../latents';
import { chromaConfig } from './config';
import { chromaGolden } from './golden';
import { chromaKeys } from './keys';
import { chromaPipeline } from './pipeline';
import { chromaPresets } from './presets';
import { chromaSignature } from './signature';
import { chromaSynthetic } from './synthetic';
import { chromaParameters, createChroma } from './transformer';
import { CHROMA_RUN } from './usual';
import { chromaWorkload } from './workload';

/** Chroma (lodestones, 2025), made from FLUX.1-schnell. */
export const chroma = family({
  className: 'ChromaTransformer2DModel',
  title: 'Chroma',
  schema: chromaConfig,
  parameters: chromaParameters,
  blockNames: c => stackNames(c),
  create: createChroma,
  usualSize: () => ({ height: 1024, width: 1024, frames: 1 }),
  usualRun: () => CHROMA_RUN,
  workload: chromaWorkload,
  presets: chromaPresets,
  keys: chromaKeys,
  adapterKeys: fluxAdapterKeys,
  autoencoders: { AutoencoderKL: kl },
  // Image to image is the same pipeline with a picture to begin with.
  pipelineClasses: ['ChromaPipeline', 'ChromaImg2ImgPipeline'],
  index: {
    parts: [
      ...['transformer', 'vae', 'scheduler', 'text_encoder', 'tokenizer'],
      // For adapters that are loaded apart.
      ...['image_encoder', 'feature_extractor'],
    ],
  },
  joins: c => ({
    latents: c.in_channels / LATENTS_A_TOKEN,
    outputs: (c.out_channels ?? c.in_channels) / LATENTS_A_TOKEN,
    texts: { text_encoder: c.joint_attention_dim },
  }),
  pipeline: chromaPipeline,
  signature: chromaSignature,
  golden: chromaGolden,
  synthetic: chromaSynthetic,
});
