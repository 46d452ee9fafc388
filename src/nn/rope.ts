import * as tf from '@tensorflow/tfjs-core';
import { hasFused, turnPairs } from './fused';
import type { Params } from './params';
import { share, tidy } from './scope';
import { fitsRows, kernelRotate } from './wasm/kernels';
import { hasKernels } from './wasm/run';

/** Rotary tables: cosine and sine of every token's angles, each angle standing twice. Shapes `[N, d]`. */
export interface Rope {
  readonly cos: tf.Tensor;
  readonly sin: tf.Tensor;
  /** Both as complex numbers, one for every pair of neighbours, where that is what the backend turns by (`shareRope`). */
  readonly turn?: tf.Tensor;
}

/** Which channels of a head turn together: neighbours, or a channel of the first half with its like of the second. */
export type RopePairs = 'neighbours' | 'halves';

/**
 * Angles of several position axes side by side, in double precision, rounded once to float32.
 * @param positions one row per token, one column per axis
 * @param dims how many of the head's channels each axis rotates; even numbers
 * @param pairs where the second of an angle's two places is
 */
export function ropeTables(
  positions: readonly (readonly number[])[],
  dims: readonly number[],
  theta = 10_000,
  pairs: RopePairs = 'neighbours',
): Rope {
  const width = dims.reduce((a, b) => a + b, 0);
  const cos = new Float32Array(positions.length * width);
  const sin = new Float32Array(positions.length * width);
  positions.forEach((position, token) => {
    const [step, other] = pairs === 'halves' ? [1, width / 2] : [2, 1];
    let at = token * width;
    dims.forEach((dim, axis) => {
      for (let i = 0; i < dim; i += 2) {
        const angle = (position[axis] as number) * theta ** (-i / dim);
        cos[at] = cos[at + other] = Math.cos(angle);
        sin[at] = sin[at + other] = Math.sin(angle);
        at += step;
      }
    });
  });
  const shape: [number, number] = [positions.length, width];
  return { cos: tf.tensor2d(cos, shape), sin: tf.tensor2d(sin, shape) };
}

/**
 * Second handles on tables `[N, d]`, or with axes of one beside, for blocks that turn pairs of neighbours by them: what all
 * blocks would make of them is made once. The caller's.
 */
export function shareRope({ cos, sin }: Rope): Rope {
  return { ...share({ cos, sin }), ...(hasFused('complexTurn') && { turn: complexOf({ cos, sin }) }) };
}

/** One complex number for every pair of neighbours, `[1, N, 1, d / 2]`. */
function complexOf({ cos, sin }: Rope): tf.Tensor {
  const width = cos.shape.at(-1) as number;
  const firsts = (t: tf.Tensor): tf.Tensor =>
    tf.reshape(tf.slice(tf.reshape(t, [-1, 2]), [0, 0], [-1, 1]), [1, -1, 1, width / 2]);
  return tidy(() => tf.complex(firsts(cos), firsts(sin)));
}

/** Whether one pass can turn these heads. */
function byKernel(x: tf.Tensor, { cos }: Rope, pairs: RopePairs): boolean {
  const [, tokens, , width] = x.shape as [number, number, number, number];
  return hasKernels() && fitsRows(pairs === 'halves' ? width / 2 : width) && cos.size === tokens * width;
}

/** `P` with `x · P = [-x₁, x₀, -x₃, x₂, …]`: a quarter turn of every pair. */
function quarterTurn(width: number, pairs: RopePairs): tf.Tensor2D {
  const values = new Float32Array(width * width);
  const [step, other] = pairs === 'halves' ? [1, width / 2] : [2, 1];
  for (let pair = 0; pair < width / 2; pair++) {
    const first = pair * step;
    values[(first + other) * width + first] = -1;
    values[first * width + first + other] = 1;
  }
  return tf.tensor2d(values, [width, width]);
}

/**
 * `applyRope(rmsNorm(x))` times `factor`, with fewer passes over `x`: norm weights and factor go into the tables, which
 * are small, and each head is divided by its length at the end.
 * @param p holds the norm's `weight` `[d]`
 * @param x `[B, N, H, d]`
 */
export function normedRope(p: Params, x: tf.Tensor, rope: Rope, eps: number, pairs: RopePairs, factor = 1): tf.Tensor {
  const weights = p.tensor('weight');
  if (byKernel(x, rope, pairs)) {
    const turn = { halves: pairs === 'halves', weight: weights, eps, factor };
    return kernelRotate(x, rope.cos, rope.sin, turn);
  }
  const [, tokens, , width] = x.shape as [number, number, number, number];
  const turn = quarterTurn(width, pairs);
  const weight = tf.reshape(tf.mul(weights, factor), [1, width]) as tf.Tensor2D;
  // The weight of the channel that a channel turns with.
  const other = tf.matMul(weight, tf.abs(turn));
  const table = (t: tf.Tensor, by: tf.Tensor): tf.Tensor => tf.reshape(tf.mul(t, by), [1, tokens, 1, width]);
  const turned = tf.reshape(tf.matMul(tf.reshape(x, [-1, width]) as tf.Tensor2D, turn), x.shape);
  const sum = tf.add(tf.mul(x, table(rope.cos, weight)), tf.mul(turned, table(rope.sin, other)));
  return tf.mul(sum, tf.rsqrt(tf.add(tf.mean(tf.mul(x, x), -1, true), eps)));
}

/**
 * Rotates channel pairs of every head by its token's angles.
 *
 * A pair of neighbours is a complex number, and the turn a complex product. Where there are none, the turn is a product with a
 * fixed permutation matrix: exact, and the one form that is fast on every backend (strided slices and rank-5
 * transposes are not).
 * @param x `[B, N, H, d]`
 */
export function applyRope(x: tf.Tensor, rope: Rope, pairs: RopePairs = 'neighbours'): tf.Tensor {
  if (byKernel(x, rope, pairs)) return kernelRotate(x, rope.cos, rope.sin, { halves: pairs === 'halves' });
  const [, tokens, , width] = x.shape as [number, number, number, number];
  if (pairs === 'neighbours' && hasFused('complexTurn')) return turnPairs(x, rope.turn ?? complexOf(rope));
  const rows = tf.reshape(x, [-1, width]) as tf.Tensor2D;
  const turned = tf.reshape(tf.matMul(rows, quarterTurn(width, pairs)), x.shape);
  const table = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [1, tokens, 1, width]);
  return tf.add(tf.mul(x, table(rope.cos)), tf.mul(turned, table(rope.sin)));
}
