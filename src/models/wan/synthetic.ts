import { noiseRows, type Synthetic } from '../synthetic';
import type { WanConfig } from './transformer';

/** Made-up conditions. */
export const wanSynthetic: Synthetic<WanConfig> = {
  guidance: 'separate',
  condition: (c, work, seeds) => ({ encoderHiddenStates: noiseRows(seeds, [work.textTokens, c.text_dim]) }),
  shortened: (c, blocks) => ({ ...c, num_layers: Math.min(blocks, c.num_layers) }),
};
