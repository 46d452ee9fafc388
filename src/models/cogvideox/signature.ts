import * as tf from '@tensorflow/tfjs-core';
import type { Rope } from '../../nn/rope';
import { alongAxis, flat, ropeOf, sincosOf } from '../graph-tables';
import { axisOf, type InputBuilder, type Signature, type Sized } from '../signature';
import type { CogVideoXConfig } from './transformer';

/** Positions are made in the graph from the latent's own shape; 5B models also take rotary tables as diffusers does. */
export const cogVideoXSignature: Signature<CogVideoXConfig> = {
  sizes: ({ patch_size: patch, use_rotary_positional_embeddings: isRotary }) => ({
    batch: axisOf('sample', 0),
    frames: axisOf('sample', 1),
    rows: axisOf('sample', 3, patch),
    columns: axisOf('sample', 4, patch),
    // 2B models take texts of one length only.
    ...(isRotary && { text: axisOf('encoder_hidden_states', 1) }),
  }),
  call(config, { batch, frames, rows, columns, text }, build) {
    const [height, width] = [rows!, columns!].map(({ size, value }) => size.unit * value) as [number, number];
    const sample = build.input('sample', [batch!.value, frames!.value, config.in_channels, height, width]);
    const timestep = build.input('timestep', [batch!.value]);
    const tokens = text?.value ?? config.max_text_seq_length;
    const encoderHiddenStates = build.input('encoder_hidden_states', [batch!.value, tokens, config.text_embed_dim]);
    const grid = [frames!, rows!, columns!] as const;
    if (!config.use_rotary_positional_embeddings) {
      return { sample, timestep, condition: { encoderHiddenStates, positions: addedPositions(config, grid, build) } };
    }
    const { cos, sin } = videoRope(config, grid, build);
    const rope = { cos: givenOr(cos, 'image_rotary_emb_cos', build), sin: givenOr(sin, 'image_rotary_emb_sin', build) };
    return { sample, timestep, condition: { encoderHiddenStates, rope } };
  },
};

/** No cosine and no sine: it stands for a table that was not given. */
const ABSENT = 2;

function givenOr(table: tf.Tensor, name: string, build: InputBuilder): tf.Tensor {
  const given = build.optional(name, table.shape, ABSENT);
  return tf.where(tf.equal(given, ABSENT), table, given);
}

type Grid = readonly [Sized, Sized, Sized];

const width = (c: CogVideoXConfig): number => c.num_attention_heads * c.attention_head_dim;
const axis = (positions: tf.Tensor, index: number): tf.Tensor => alongAxis(positions, index, 3);

/** A quarter of the channels for time, the rest for column and row. */
function addedPositions(c: CogVideoXConfig, [frames, rows, columns]: Grid, { range }: InputBuilder): tf.Tensor {
  const times = tf.div(range(frames), c.temporal_interpolation_scale);
  const [y, x] = [rows, columns].map(size => tf.div(range(size), c.spatial_interpolation_scale)) as [
    tf.Tensor,
    tf.Tensor,
  ];
  const d = width(c);
  const table = sincosOf([axis(times, 0), axis(x, 2), axis(y, 1)], [d / 4, (3 * d) / 8, (3 * d) / 8]);
  return tf.expandDims(flat(table), 0);
}

/** The grid stretched over the region of the trained grid that has its proportions; see `cropRegion`. */
function videoRope(c: CogVideoXConfig, [frames, rows, columns]: Grid, build: InputBuilder): Rope {
  const trained = [c.sample_height, c.sample_width].map(size => Math.floor(size / c.patch_size)) as [number, number];
  const [trainedRows, trainedColumns] = trained;
  const [height, across] = [build.count(rows), build.count(columns)];
  const isTall = tf.greater(tf.mul(height, trainedColumns), tf.mul(across, trainedRows));
  const inProportion = (count: tf.Tensor, limit: number, other: tf.Tensor): tf.Tensor =>
    tf.round(tf.div(tf.mul(count, limit), other));
  const regionRows = tf.where(isTall, tf.scalar(trainedRows), inProportion(height, trainedColumns, across));
  const regionColumns = tf.where(isTall, inProportion(across, trainedRows, height), tf.scalar(trainedColumns));
  const spread = (size: Sized, count: tf.Tensor, region: tf.Tensor, limit: number): tf.Tensor => {
    const start = tf.round(tf.div(tf.sub(limit, region), 2));
    const steps = tf.sub(count, 1);
    // `last - start` of the reference, divided by at least 1: a single row stands at the start.
    const length = tf.sub(tf.div(tf.mul(tf.add(start, region), steps), count), start);
    return tf.add(start, tf.div(tf.mul(length, build.range(size)), tf.maximum(steps, 1)));
  };
  const positions = [
    axis(build.range(frames), 0),
    axis(spread(rows, height, regionRows, trainedRows), 1),
    axis(spread(columns, across, regionColumns, trainedColumns), 2),
  ];
  const d = c.attention_head_dim;
  const { cos, sin } = ropeOf(positions, [d / 4, (3 * d) / 8, (3 * d) / 8]);
  return { cos: flat(cos), sin: flat(sin) };
}
