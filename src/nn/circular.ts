import * as tf from '@tensorflow/tfjs-core';

/** 2π in two parts: the first has so few bits that its products with whole numbers are exact. */
const TURN = [6.28125, 2 * Math.PI - 6.28125] as const;
/** Taylor's coefficients of `sin x / x` and `cos x` in x², the highest first: below π/4 good to 3e-8. */
const SINE = [1 / 362_880, -1 / 5040, 1 / 120, -1 / 6, 1];
const COSINE = [1 / 40_320, -1 / 720, 1 / 24, -1 / 2, 1];

/**
 * Cosine and sine of angles in radians, good to 1e-6 on every backend.
 *
 * A GPU's own are meant for colours: WebGPU promises three digits, and that within half a turn only, while time
 * embeddings turn a thousand radians and models distinguish times by the fifth digit.
 * @returns new tensors of the shape of `angles`
 */
export function circular(angles: tf.Tensor): { cos: tf.Tensor; sin: tf.Tensor } {
  return tf.getBackend() === 'webgpu' ? circularBySums(angles) : { cos: tf.cos(angles), sin: tf.sin(angles) };
}

/** The same from sums and products alone: whole turns off, a quarter of what is left by Taylor, doubled twice. */
export function circularBySums(angles: tf.Tensor): { cos: tf.Tensor; sin: tf.Tensor } {
  const [sin, cos] = tf.tidy(() => {
    const turns = tf.floor(tf.add(tf.div(angles, 2 * Math.PI), 0.5));
    const within = tf.sub(tf.sub(angles, tf.mul(turns, TURN[0])), tf.mul(turns, TURN[1]));
    const quarter = tf.div(within, 4);
    const square = tf.square(quarter);
    const series = (coefficients: readonly number[]): tf.Tensor =>
      coefficients.reduce<tf.Tensor>((sum, c) => tf.add(tf.mul(sum, square), c), tf.zerosLike(square));
    const start = [tf.mul(quarter, series(SINE)), series(COSINE)] as const;
    return twice(...twice(...start));
  });
  return { cos, sin };
}

/** Sine and cosine of twice the angle. */
function twice(sin: tf.Tensor, cos: tf.Tensor): [tf.Tensor, tf.Tensor] {
  return [tf.mul(tf.mul(sin, cos), 2), tf.sub(1, tf.mul(tf.square(sin), 2))];
}
