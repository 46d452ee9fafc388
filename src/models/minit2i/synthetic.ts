import * as tf from '@tensorflow/tfjs-core';
import { noiseRows, type Synthetic } from '../synthetic';
import type { MiniT2IConfig } from './config';

/** Made-up conditions. */
export const miniT2ISynthetic: Synthetic<MiniT2IConfig> = {
  guidance: 'separate',
  condition: (c, { textTokens }, seeds) => ({
    encoderHiddenStates: noiseRows(seeds, [textTokens, c.txt_input_size]),
    mask: tf.ones([seeds.length, textTokens]),
  }),
  shortened: (c, blocks) => ({ ...c, depth_double: Math.min(blocks, c.depth_double) }),
};
