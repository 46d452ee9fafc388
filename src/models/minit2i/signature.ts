import * as tf from '@tensorflow/tfjs-core';
import { alongAxis, flat, ropeOf, sincosOf } from '../graph-tables';
import { axisOf, type Signature } from '../signature';
import { attentionHeads, type MiniT2IConfig } from './config';
import { addedDims, imageRopeDims } from './positions';

/** Pictures and texts of any size: tables are made in the graph. */
export const miniT2ISignature: Signature<MiniT2IConfig> = {
  sizes: ({ patch_size: patch }) => ({
    batch: axisOf('sample', 0),
    rows: axisOf('sample', 2, patch),
    columns: axisOf('sample', 3, patch),
    text: axisOf('encoder_hidden_states', 1),
  }),
  call(config, { batch, rows, columns, text }, build) {
    const [b, t, grid] = [batch!.value, text!.value, [rows!, columns!]];
    const pixels = grid.map(({ value }) => value * config.patch_size);
    const sample = build.input('sample', [b, config.in_channels, ...pixels]);
    const timestep = build.input('timestep', [b]);
    const encoderHiddenStates = build.input('encoder_hidden_states', [b, t, config.txt_input_size]);
    const mask = tf.mul(build.optional('encoder_attention_mask', [b, t], 1), tf.ones([b, t]));

    const [row, column] = grid.map((size, axis) => alongAxis(build.range(size), axis, 2)) as [tf.Tensor, tf.Tensor];
    const word = tf.reshape(build.range(text!), [-1, 1]);
    const ofText = ropeOf([word], [attentionHeads(config)[1]], undefined, 'halves');
    const ofImage = ropeOf([row, column], imageRopeDims(config), undefined, 'halves');
    const positions = {
      cos: tf.concat([ofText.cos, flat(ofImage.cos)]),
      sin: tf.concat([ofText.sin, flat(ofImage.sin)]),
      added: flat(sincosOf([column, row], addedDims(config))),
    };
    return { sample, timestep, condition: { encoderHiddenStates, mask, positions } };
  },
};
