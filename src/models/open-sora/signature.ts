import * as tf from '@tensorflow/tfjs-core';
import type { Rope } from '../../nn/rope';
import { alongAxis, flat, sincosOf } from '../graph-tables';
import { axisOf, type InputBuilder, minus, type Signature, type Sized, times } from '../signature';
import type { Expression } from '../sizes';
import type { OpenSoraConfig } from './transformer';

/** Pixels of a picture's side for one of its latent's. */
const LATENT_PIXELS = 8;

/**
 * Tables are made in the graph. Text is hidden by a mask, not left out, so that one graph serves texts of any
 * lengths; which frames are clean may be told, and latents that are no whole number of patches are padded.
 */
export const openSoraSignature: Signature<OpenSoraConfig> = {
  sizes: ({ patch_size: patch }) => ({
    batch: axisOf('sample', 0),
    frames: axisOf('sample', 2, patch[0]),
    rows: axisOf('sample', 3, patch[1]),
    columns: axisOf('sample', 4, patch[2]),
    text: axisOf('encoder_hidden_states', 1),
  }),
  call(config, { batch, frames, rows, columns, text }, build) {
    const grid = [frames!, rows!, columns!] as const;
    const b = batch!.value;
    const given = build.input('sample', [b, config.in_channels, ...grid.map(({ size, value }) => size.unit * value)]);
    const timestep = build.input('timestep', [b]);
    const captions = build.input('encoder_hidden_states', [b, text!.value, config.caption_channels]);
    const mask = build.optional('encoder_attention_mask', [b, text!.value], 1);
    const fps = build.input('fps', [b]);
    const pixels = (axis: number): tf.Tensor =>
      tf.mul(
        tf.reshape(build.count({ size: axisOf('sample', axis), value: given.shape[axis] as number }), [1]),
        LATENT_PIXELS,
      );
    const givenOr = (name: string, usual: tf.Tensor): tf.Tensor => {
      const given = build.optional(name, [1], 0);
      return tf.where(tf.greater(given, 0), given, usual);
    };
    const height = givenOr('height', pixels(3));
    const width = givenOr('width', pixels(4));
    const frameMask = tf.mul(build.optional('frame_mask', [b, frames!.value], 1), tf.ones([1, frames!.value]));
    const condition = {
      captions,
      mask,
      fps,
      frameMask,
      height: 0,
      width: 0,
      positions: positionsOf(config, [rows!, columns!], [height, width], build),
      rope: frameRope(build.weights.resident.tensor('rope.freqs'), frames!, build),
    };
    return {
      sample: padded(given, grid, build),
      timestep,
      condition,
      finish: output => cropped(output, grid, build),
    };
  },
};

/** See `positionTable`. */
function positionsOf(
  c: OpenSoraConfig,
  [rows, columns]: readonly [Sized, Sized],
  [height, width]: readonly [tf.Tensor, tf.Tensor],
  { range, count }: InputBuilder,
): tf.Tensor {
  const scale = tf.div(tf.sqrt(tf.mul(height, width)), c.input_sq_size);
  const base = tf.round(tf.sqrt(tf.mul(count(rows), count(columns))));
  const axis = (size: Sized): tf.Tensor => tf.mul(tf.div(range(size), scale), tf.div(base, count(size)));
  const table = sincosOf(
    [alongAxis(axis(columns), 1, 2), alongAxis(axis(rows), 0, 2)],
    [c.hidden_size / 2, c.hidden_size / 2],
  );
  return tf.expandDims(flat(table), 0);
}

/** See `frameRope` of the model. */
function frameRope(frequencies: tf.Tensor, frames: Sized, { range }: InputBuilder): Rope {
  const angles = tf.mul(tf.reshape(range(frames), [-1, 1]), tf.reshape(frequencies, [1, -1]));
  const twice = tf.reshape(tf.stack([angles, angles], -1), [-1, 2 * frequencies.size]);
  return { cos: tf.cos(twice), sin: tf.sin(twice) };
}

const ANY: Expression = [{ factor: -1, sizes: [] }];
const fixed = (value: number): Expression => [{ factor: value, sizes: [] }];
/** Length of the latent's axes as given, and when padded to whole patches. */
const given = (grid: readonly Sized[]): Expression[] => grid.map(({ size }) => times({ ...size, unit: 1 }));
const whole = (grid: readonly Sized[]): Expression[] => grid.map(({ size }) => times(size, size.unit));

/** In recordings every latent is whole already, so that nothing is padded there. */
function padded(sample: tf.Tensor, grid: readonly Sized[], build: InputBuilder): tf.Tensor {
  const [batch, channels, ...axes] = sample.shape as [number, number, ...number[]];
  const videos = build.reshape(sample, [ANY, ...given(grid)], [batch * channels, ...axes]);
  const ends = build.pad(videos, [fixed(0), ...whole(grid).map((size, i) => minus(size, given(grid)[i]!))]);
  return build.reshape(ends, [ANY, fixed(channels), ...whole(grid)], sample.shape);
}

function cropped(output: tf.Tensor, grid: readonly Sized[], build: InputBuilder): tf.Tensor {
  const [batch, channels, ...axes] = output.shape as [number, number, ...number[]];
  const videos = build.reshape(output, [ANY, ...whole(grid)], [batch * channels, ...axes]);
  const crops = build.slice(videos, [ANY, ...given(grid)]);
  return build.reshape(crops, [ANY, fixed(channels), ...given(grid)], output.shape);
}
