import * as tf from '@tensorflow/tfjs-core';
import type { Params } from './params';

/** Zeros added around an image: rows above and below, columns to the left and to the right. */
export type Sides = readonly [top: number, bottom: number, left: number, right: number];

export interface Conv2dOptions {
  /** 1 by default. */
  readonly stride?: number | undefined;
  /** On every side, or for each; half the kernel by default, so that stride 1 keeps the size. */
  readonly pad?: number | Sides | undefined;
}

/**
 * A two-dimensional convolution.
 * @param p holds `weight` `[kh, kw, in, out]` and, where the layer has one, `bias` `[out]`
 * @param x `[B, H, W, in]`
 * @returns `[B, H', W', out]`
 */
export function conv2d(p: Params, x: tf.Tensor, options: Conv2dOptions = {}): tf.Tensor {
  const y = correlate(p.tensor('weight'), x, options);
  return p.has('bias') ? tf.add(y, p.tensor('bias')) : y;
}

/** The same without a bias, for any kernel `[kh, kw, in, out]`. */
export function correlate(kernel: tf.Tensor, x: tf.Tensor, { stride = 1, pad }: Conv2dOptions = {}): tf.Tensor {
  const [kh, kw, inputs, outputs] = kernel.shape as [number, number, number, number];
  if (pad === undefined && stride === 1) {
    if (kh === 1 && kw === 1) {
      const rows = tf.reshape(x, [-1, inputs]) as tf.Tensor2D;
      const product = tf.matMul(rows, tf.reshape(kernel, [inputs, outputs]) as tf.Tensor2D);
      return tf.reshape(product, [...x.shape.slice(0, -1), outputs]);
    }
    // For stride 1 and an odd kernel 'same' is half the kernel on every side, without a padded copy of the image.
    if (kh % 2 === 1 && kw % 2 === 1) return tf.conv2d(x as tf.Tensor4D, kernel as tf.Tensor4D, 1, 'same');
  }
  const [halfHeight, halfWidth] = [Math.floor(kh / 2), Math.floor(kw / 2)];
  const given = pad ?? [halfHeight, halfHeight, halfWidth, halfWidth];
  const [top, bottom, left, right] = typeof given === 'number' ? [given, given, given, given] : given;
  const ends: [number, number][] = [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
  // Padded by hand: a numeric `pad` is not something every backend's convolution knows.
  const padded = top + bottom + left + right === 0 ? x : tf.pad(x, ends);
  return tf.conv2d(padded as tf.Tensor4D, kernel as tf.Tensor4D, stride, 'valid');
}
