import * as tf from '@tensorflow/tfjs-core';
import type { Signature } from '../../signature';
import { jointPositions, jointSizes } from '../signature';
import type { ChromaConfig } from './config';

/** As FLUX's, with a mask of text and image in place of the pooled text and the guidance. */
export const chromaSignature: Signature<ChromaConfig> = {
  sizes: jointSizes,
  call(config, sizes, build) {
    const [b, n, t] = [sizes.batch!.value, sizes.tokens!.value, sizes.text!.value];
    const sample = build.input('sample', [b, n, config.in_channels]);
    const timestep = build.input('timestep', [b]);
    const encoderHiddenStates = build.input('encoder_hidden_states', [b, t, config.joint_attention_dim]);
    const mask = tf.mul(build.optional('attention_mask', [b, t + n], 1), tf.ones([b, t + n]));
    const rope = jointPositions(config.axes_dims_rope, [n, t], build);
    return { sample, timestep, condition: { encoderHiddenStates, mask, imgIds: [], rope } };
  },
};
