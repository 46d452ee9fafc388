import { family } from '../family';
import { openSoraAutoencoder } from './autoencoder';
import { openSoraGolden } from './golden';
import { openSoraPipeline } from './pipeline';
import { openSoraPresets } from './presets';
import { openSoraSignature } from './signature';
import { openSoraSynthetic } from './synthetic';
import { openSoraPolynomials } from './teacache';
import { createOpenSora, openSoraConfig, openSoraParameters } from './transformer';
import { OPEN_SORA_SIZE, openSoraUsualRun } from './usual';
import { openSoraWorkload } from './workload';

/** Open-Sora 1.2 (Zheng et al., 2024). Its parameter table has its authors' names already. */
export const openSora = family({
  className: 'STDiT3',
  title: 'Open-Sora 1.2',
  schema: openSoraConfig,
  parameters: openSoraParameters,
  blockNames: c => Array.from({ length: c.depth }, (_, i) => [`spatial_blocks.${i}`, `temporal_blocks.${i}`]).flat(),
  create: createOpenSora,
  usualSize: () => OPEN_SORA_SIZE,
  usualRun: openSoraUsualRun,
  workload: openSoraWorkload,
  presets: openSoraPresets,
  autoencoders: { VideoAutoencoderPipeline: openSoraAutoencoder },
  pipelineClasses: ['OpenSoraPipeline'],
  index: { parts: ['transformer', 'vae', 'scheduler', 'text_encoder', 'tokenizer'] },
  joins: c => ({ latents: c.in_channels, outputs: c.in_channels, texts: { text_encoder: c.caption_channels } }),
  pipeline: openSoraPipeline,
  signature: openSoraSignature,
  golden: openSoraGolden,
  synthetic: openSoraSynthetic,
  polynomials: openSoraPolynomials,
});
