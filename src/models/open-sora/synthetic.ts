import { noiseRows, type Synthetic } from '../synthetic';
import type { OpenSoraConfig } from './transformer';

/** Made-up conditions. */
export const openSoraSynthetic: Synthetic<OpenSoraConfig> = {
  guidance: 'batched',
  condition: (c, work, seeds) => ({
    captions: noiseRows(seeds, [work.textTokens, c.caption_channels]),
    fps: 24,
    height: work.size.height,
    width: work.size.width,
  }),
  shortened: (c, blocks) => ({ ...c, depth: Math.min(blocks, c.depth) }),
};
