import * as tf from '@tensorflow/tfjs-core';
import { bothStreams, type GoldenNames } from '../golden';

/** How golden cases of the reference name things. Its time rises to the picture. */
export const miniT2IGolden: GoldenNames = {
  latent: 'img',
  unlike: 'velocity',
  output: velocity => ({ velocity: tf.neg(velocity) }),
  times: inputs => inputs.list('t').map(t => 1 - t),
  condition: inputs => ({ encoderHiddenStates: inputs.tensor('context'), mask: inputs.tensor('attn_mask') }),
  afterBlock: bothStreams,
};
