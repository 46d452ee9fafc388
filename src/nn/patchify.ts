import * as tf from '@tensorflow/tfjs-core';
import type { Params } from './params';

/** Size of a patch: frames, rows, columns. */
export type Patch = readonly [number, number, number];

/** Shape of a video, `[B, C, F, H, W]`. */
export type VideoShape = readonly [number, number, number, number, number];

/**
 * Cuts a video into patches. Channels go last first, so that every later step moves whole rows of channels and no
 * transpose has more than four axes (five are 400 times slower on wasm).
 * @param x `[B, C, F, H, W]`, frames, rows and columns multiples of the patch
 * @returns `[B, N, pt·ph·pw·C]`: tokens in the order (frame, row, column), channels in the order (dt, dy, dx, c)
 */
export function patchify(x: tf.Tensor, [pt, ph, pw]: Patch): tf.Tensor {
  const [batch, channels, frames, height, width] = x.shape as [number, number, number, number, number];
  const pixels = tf.transpose(tf.reshape(x, [batch, channels, frames * height * width]), [0, 2, 1]);
  const byRow = tf.transpose(
    tf.reshape(pixels, [(batch * frames * height) / ph, ph, width / pw, pw * channels]),
    [0, 2, 1, 3],
  );
  const spatial = (height / ph) * (width / pw);
  const byFrame =
    pt === 1
      ? byRow
      : tf.transpose(tf.reshape(byRow, [(batch * frames) / pt, pt, spatial, ph * pw * channels]), [0, 2, 1, 3]);
  return tf.reshape(byFrame, [batch, (frames / pt) * spatial, pt * ph * pw * channels]);
}

/**
 * The inverse of `patchify`.
 * @param tokens `[B, N, pt·ph·pw·C]`, channels in the order (dt, dy, dx, c)
 * @param shape shape of the video, `[B, C, F, H, W]`
 */
export function unpatchify(tokens: tf.Tensor, shape: VideoShape, [pt, ph, pw]: Patch): tf.Tensor {
  const [batch, channels, frames, height, width] = shape;
  const spatial = (height / ph) * (width / pw);
  const byFrame =
    pt === 1
      ? tokens
      : tf.transpose(tf.reshape(tokens, [(batch * frames) / pt, spatial, pt, ph * pw * channels]), [0, 2, 1, 3]);
  const byRow = tf.transpose(
    tf.reshape(byFrame, [(batch * frames * height) / ph, width / pw, ph, pw * channels]),
    [0, 2, 1, 3],
  );
  const pixels = tf.reshape(byRow, [batch, frames * height * width, channels]);
  return tf.reshape(tf.transpose(pixels, [0, 2, 1]), [...shape]);
}

/**
 * A convolution whose stride is its kernel: one product of patches with the kernel, laid out as a matrix.
 * @param p holds `weight` `[(pt,) ph, pw, C, D]` and, where the layer has one, `bias` `[D]`
 * @param x `[B, C, F, H, W]`
 * @returns `[B, N, D]`
 */
export function patchEmbed(p: Params, x: tf.Tensor, patch: Patch): tf.Tensor {
  const kernel = p.tensor('weight');
  const width = kernel.shape.at(-1) as number;
  const patches = patchify(x, patch);
  const [batch, tokens, inputs] = patches.shape as [number, number, number];
  const rows = tf.reshape(patches, [batch * tokens, inputs]) as tf.Tensor2D;
  const product = tf.matMul(rows, tf.reshape(kernel, [inputs, width]) as tf.Tensor2D);
  return tf.reshape(p.has('bias') ? tf.add(product, p.tensor('bias')) : product, [batch, tokens, width]);
}

/** Appends zeros to frames, rows and columns until the video has `shape`. */
export function padVideo(x: tf.Tensor, shape: VideoShape): tf.Tensor {
  const [batch, channels, frames, height, width] = x.shape as [number, number, number, number, number];
  const [, , toFrames, toHeight, toWidth] = shape;
  if (frames === toFrames && height === toHeight && width === toWidth) return x.clone();
  const video = tf.reshape(x, [batch * channels, frames, height, width]);
  const ends: [number, number][] = [
    [0, 0],
    [0, toFrames - frames],
    [0, toHeight - height],
    [0, toWidth - width],
  ];
  return tf.reshape(tf.pad(video, ends), [...shape]);
}

/** The first frames, rows and columns of a video, `shape` of them. */
export function cropVideo(x: tf.Tensor, shape: VideoShape): tf.Tensor {
  const [batch, channels, ...axes] = x.shape as [number, number, number, number, number];
  const [, , ...toAxes] = shape;
  const video = tf.reshape(x, [batch * channels, ...axes]);
  return tf.reshape(tf.slice(video, [0, 0, 0, 0], [batch * channels, ...toAxes]), [...shape]);
}
