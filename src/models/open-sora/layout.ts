import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../../errors';
import { circular } from '../../nn/circular';
import type { VideoShape } from '../../nn/patchify';
import { gridPositions, range, sincosTable } from '../../nn/positions';
import type { Rope } from '../../nn/rope';
import type { PerRow } from '../../transformer/timesteps';

/** What the layout depends on of a model's configuration. */
interface LayoutConfig {
  readonly in_channels: number;
  readonly patch_size: readonly [number, number, number];
  readonly hidden_size: number;
  /** Width and height that the positions were trained for, as in the checkpoint's configuration. */
  readonly input_sq_size: number;
}

/** A latent, and how it is cut. */
export interface Geometry {
  /** The latent's shape `[B, C, T, H, W]`. */
  readonly shape: VideoShape;
  /** The same after zeros were added to make whole patches. */
  readonly whole: VideoShape;
  /** Patches along time, height and width. */
  readonly grid: readonly [number, number, number];
}

/** Which rows of `[B · L]` text tokens are attended to, and how many of them belong to each row of the batch. */
export function packing(
  mask: readonly (readonly number[])[] | undefined,
  batch: number,
  tokens: number,
): { rows: number[]; lengths: number[] } {
  if (mask && (batch % mask.length !== 0 || mask.some(row => row.length !== tokens))) {
    throw new ShapeError(`The text mask does not fit captions [${batch}, ${tokens}].`, {
      hint: 'Give one row a caption, or a number of rows that divides the captions.',
    });
  }
  const kept = range(batch).map(b => range(tokens).filter(i => mask?.[b % mask.length]?.[i] !== 0));
  if (kept.some(row => row.length === 0)) {
    throw new ShapeError('The text mask leaves a caption without any token.');
  }
  return { rows: kept.flatMap((row, b) => row.map(i => b * tokens + i)), lengths: kept.map(row => row.length) };
}

export function geometryOf(shape: readonly number[], c: LayoutConfig): Geometry {
  const [batch, channels, ...axes] = shape as VideoShape;
  if (shape.length !== 5 || channels !== c.in_channels) {
    throw new ShapeError(`Open-Sora takes a latent [B, ${c.in_channels}, T, H, W]; [${shape.join(', ')}] was given.`);
  }
  const grid = axes.map((size, i) => Math.ceil(size / (c.patch_size[i] as number))) as [number, number, number];
  const [t, h, w] = grid.map((count, i) => count * (c.patch_size[i] as number)) as [number, number, number];
  return { shape: shape as VideoShape, whole: [batch, channels, t, h, w], grid };
}

/** Sine-cosine positions of one frame `[1, S, D]`, stretched by the picture's size over the trained size. */
export function positionTable(
  c: LayoutConfig,
  rows: number,
  columns: number,
  height: number,
  width: number,
): tf.Tensor {
  const scale = Math.sqrt(height * width) / c.input_sq_size;
  const base = Math.round(Math.sqrt(rows * columns));
  const axis = (count: number): number[] =>
    range(count)
      .map(i => Math.fround(i / scale) * (base / count))
      .map(Math.fround);
  const grid = gridPositions([0], axis(rows), axis(columns));
  const table = sincosTable(
    grid.map(([, y, x]) => [x, y]),
    [c.hidden_size / 2, c.hidden_size / 2],
  );
  return tf.expandDims(table, 0);
}

/** Rotary tables over frames from the checkpoint's frequencies `[d / 2]`. */
export function frameRope(frequencies: tf.Tensor, frames: number): Rope {
  const angles = tf.mul(tf.tensor2d(range(frames), [frames, 1]), tf.reshape(frequencies, [1, -1]));
  const twice = tf.reshape(tf.stack([angles, angles], -1), [frames, -1]);
  return circular(twice);
}

/** Added to the scores of a text token that is not attended to: its share of the softmax is then exactly none. */
const UNSEEN = -1e9;

/** A text mask of ones and zeros `[B, L]` or `[1, L]` as what is added to attention scores, `[B, 1, 1, L]`. */
export function maskBias(mask: tf.Tensor): tf.Tensor {
  return tf.mul(tf.sub(1, tf.expandDims(tf.expandDims(mask, 1), 1)), UNSEEN);
}

/** The frame mask as factors `[B, T, 1]`: 1 for noisy frames, 0 for clean ones. */
export function noisyFrames(
  mask: readonly (readonly number[])[] | tf.Tensor,
  batch: number,
  frames: number,
): tf.Tensor {
  if (mask instanceof tf.Tensor) return tf.expandDims(mask, -1);
  if (mask.length !== batch || mask.some(row => row.length !== frames)) {
    throw new ShapeError(`The frame mask does not fit a latent of ${batch} rows and ${frames} frames.`, {
      hint: 'Give one row a latent, and one number a latent frame.',
    });
  }
  return tf.tensor(
    mask.flatMap(row => row.map(noisy => (noisy === 0 ? 0 : 1))),
    [batch, frames, 1],
  );
}

/** One value for every row of a batch `[B]`; a shorter list is repeated, a tensor is taken as it is. */
export function cycled(value: PerRow, batch: number): tf.Tensor {
  if (value instanceof tf.Tensor) return value;
  const values = typeof value === 'number' ? [value] : value;
  return tf.tensor1d(range(batch).map(i => values[i % values.length] as number));
}
