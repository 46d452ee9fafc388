import * as tf from '@tensorflow/tfjs-core';
import { ropeOf } from '../graph-tables';
import { axisOf, type Signature } from '../signature';
import type { FluxConfig } from './transformer';

/** FLUX takes the positions of its tokens as inputs, so that pictures and texts of any size go through one graph. */
export const fluxSignature: Signature<FluxConfig> = {
  sizes: () => ({
    batch: axisOf('sample', 0),
    tokens: axisOf('sample', 1),
    text: axisOf('encoder_hidden_states', 1),
  }),
  call(config, { batch, tokens, text }, build) {
    const [b, n, t] = [batch!.value, tokens!.value, text!.value];
    const axes = config.axes_dims_rope.length;
    const sample = build.input('sample', [b, n, config.in_channels]);
    const timestep = build.input('timestep', [b]);
    const encoderHiddenStates = build.input('encoder_hidden_states', [b, t, config.joint_attention_dim]);
    const pooledProjections = build.input('pooled_projections', [b, config.pooled_projection_dim]);
    const guidance = config.guidance_embeds ? build.input('guidance', [b]) : undefined;
    const imgIds = build.input('img_ids', [n, axes]);
    const txtIds = tf.add(build.optional('txt_ids', [t, axes], 0), tf.zeros([t, axes]));
    const positions = tf.split(tf.concat([txtIds, imgIds], 0), axes, 1);
    const rope = ropeOf(positions, config.axes_dims_rope);
    return { sample, timestep, condition: { encoderHiddenStates, pooledProjections, guidance, imgIds: [], rope } };
  },
};
