import { noiseRows, type Synthetic } from '../synthetic';
import type { CogVideoXConfig } from './transformer';

/** Made-up conditions. */
export const cogVideoXSynthetic: Synthetic<CogVideoXConfig> = {
  guidance: 'batched',
  condition: (c, work, seeds) => ({ encoderHiddenStates: noiseRows(seeds, [work.textTokens, c.text_embed_dim]) }),
  shortened: (c, blocks) => ({ ...c, num_layers: Math.min(blocks, c.num_layers) }),
};
