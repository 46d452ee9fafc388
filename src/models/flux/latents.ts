import * as tf from '@tensorflow/tfjs-core';
import { tidy } from '../../nn/scope';
import type { Denoiser } from '../../transformer/denoiser';

/** A token stands for this many rows and columns of the latent. */
export const PATCH = 2;
/** Pixels of the latent that a token packs. */
export const LATENTS_A_TOKEN = PATCH * PATCH;

/** `[B, C, h, w]` to tokens `[B, h/2 · w/2, 4C]`, the channels of a token in the order (C, row, column). */
export function packLatents(latents: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    const [batch, channels, height, width] = latents.shape as [number, number, number, number];
    const [rows, columns] = [height / PATCH, width / PATCH];
    const strips = tf.reshape(latents, [batch * channels * rows, PATCH, columns, PATCH]);
    const patches = tf.reshape(tf.transpose(strips, [0, 2, 1, 3]), [batch, channels, rows * columns, PATCH * PATCH]);
    return tf.reshape(tf.transpose(patches, [0, 2, 1, 3]), [batch, rows * columns, channels * PATCH * PATCH]);
  });
}

/** The reverse, for a latent of `height` by `width`. */
export function unpackLatents(tokens: tf.Tensor, height: number, width: number): tf.Tensor {
  return tf.tidy(() => {
    const [batch, count, packed] = tokens.shape as [number, number, number];
    const channels = packed / (PATCH * PATCH);
    const [rows, columns] = [height / PATCH, width / PATCH];
    const patches = tf.transpose(tf.reshape(tokens, [batch, count, channels, PATCH * PATCH]), [0, 2, 1, 3]);
    const strips = tf.reshape(patches, [batch * channels * rows, columns, PATCH, PATCH]);
    return tf.reshape(tf.transpose(strips, [0, 2, 1, 3]), [batch, channels, height, width]);
  });
}

/**
 * The transformer on latents `[B, C, h, w]`. The reference packs once, before the loop; packing only moves numbers, so
 * the steps between are the same, and a latent here says its size.
 */
export function onLatents(model: Denoiser, height: number, width: number): Denoiser {
  return {
    ...model,
    prepare: (cond, [batch, channels], tap) => {
      const tokens = (height * width) / (PATCH * PATCH);
      return model.prepare(cond, [batch as number, tokens, (channels as number) * PATCH * PATCH], tap);
    },
    embed: (x, timestep, context, tap) => tidy(() => model.embed(packLatents(x), timestep, context, tap)),
    head: (stream, tap) => tidy(() => unpackLatents(model.head(stream, tap), height, width)),
  };
}
