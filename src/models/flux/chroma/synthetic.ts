import { noiseRows, type Synthetic } from '../../synthetic';
import { imagePositions, shortenedStack } from '../synthetic';
import type { ChromaConfig } from './config';

/** Made-up conditions: texts without padding. */
export const chromaSynthetic: Synthetic<ChromaConfig> = {
  guidance: 'separate',
  condition: (c, work, seeds) => ({
    encoderHiddenStates: noiseRows(seeds, [work.textTokens, c.joint_attention_dim]),
    imgIds: imagePositions(work),
  }),
  shortened: shortenedStack,
};
