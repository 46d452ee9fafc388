import * as tf from '@tensorflow/tfjs-core';
import type { Rope } from '../../nn/rope';
import { ropeOf } from '../graph-tables';
import { axisOf, type InputBuilder, type Signature } from '../signature';
import type { FluxConfig } from './transformer';

/** Pictures and texts of any size go through one graph. */
export const jointSizes: Signature['sizes'] = () => ({
  batch: axisOf('sample', 0),
  tokens: axisOf('sample', 1),
  text: axisOf('encoder_hidden_states', 1),
});

/** Rotary tables of text and image, from positions that are inputs. */
export function jointPositions(dims: readonly number[], [n, t]: [number, number], build: InputBuilder): Rope {
  const axes = dims.length;
  const imgIds = build.input('img_ids', [n, axes]);
  const txtIds = tf.add(build.optional('txt_ids', [t, axes], 0), tf.zeros([t, axes]));
  return ropeOf(tf.split(tf.concat([txtIds, imgIds], 0), axes, 1), dims);
}

/** FLUX takes the positions of its tokens as inputs. */
export const fluxSignature: Signature<FluxConfig> = {
  sizes: jointSizes,
  call(config, { batch, tokens, text }, build) {
    const [b, n, t] = [batch!.value, tokens!.value, text!.value];
    const sample = build.input('sample', [b, n, config.in_channels]);
    const timestep = build.input('timestep', [b]);
    const encoderHiddenStates = build.input('encoder_hidden_states', [b, t, config.joint_attention_dim]);
    const pooledProjections = build.input('pooled_projections', [b, config.pooled_projection_dim]);
    const guidance = config.guidance_embeds ? build.input('guidance', [b]) : undefined;
    const rope = jointPositions(config.axes_dims_rope, [n, t], build);
    return { sample, timestep, condition: { encoderHiddenStates, pooledProjections, guidance, imgIds: [], rope } };
  },
};
