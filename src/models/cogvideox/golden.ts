import * as tf from '@tensorflow/tfjs-core';
import { bothStreams, type GoldenNames } from '../golden';

/** How golden cases of the reference name things. */
export const cogVideoXGolden: GoldenNames = {
  condition: inputs => ({
    encoderHiddenStates: inputs.tensor('encoder_hidden_states'),
    ...(inputs.has('image_rotary_emb.cos') && {
      rope: { cos: inputs.tensor('image_rotary_emb.cos'), sin: inputs.tensor('image_rotary_emb.sin') },
    }),
  }),
  embedded: tokens => ({ patch_embed: tf.concat([tokens.context as tf.Tensor, tokens.hidden], 1) }),
  afterBlock: bothStreams,
};
