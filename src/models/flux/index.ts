import { family, numbered } from '../family';
import { kl } from '../vae/kl';
import { fluxGolden } from './golden';
import { fluxKeys } from './keys';
import { fluxPipeline } from './pipeline';
import { fluxPixels } from './pixels';
import { fluxPresets } from './presets';
import { fluxSignature } from './signature';
import { fluxSynthetic } from './synthetic';
import { fluxPolynomials } from './teacache';
import { createFlux, fluxConfig, fluxParameters } from './transformer';
import { fluxUsualRun } from './usual';
import { fluxWorkload } from './workload';

/** FLUX.1 (Black Forest Labs, 2024). */
export const flux = family({
  className: 'FluxTransformer2DModel',
  title: 'FLUX.1',
  schema: fluxConfig,
  parameters: fluxParameters,
  blockNames: c => [
    ...numbered('transformer_blocks', c.num_layers),
    ...numbered('single_transformer_blocks', c.num_single_layers),
  ],
  create: createFlux,
  usualSize: () => ({ height: 1024, width: 1024, frames: 1 }),
  usualRun: fluxUsualRun,
  workload: fluxWorkload,
  presets: fluxPresets,
  keys: fluxKeys,
  autoencoders: { AutoencoderKL: kl },
  pipelineClasses: ['FluxPipeline'],
  pipeline: fluxPipeline,
  pixels: fluxPixels,
  signature: fluxSignature,
  golden: fluxGolden,
  synthetic: fluxSynthetic,
  polynomials: fluxPolynomials,
});
