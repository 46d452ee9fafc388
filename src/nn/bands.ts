import * as tf from '@tensorflow/tfjs-core';

/**
 * Elements of a band, 28 MB of float32. The allocator keeps blocks below 32 MB for the next one who asks; larger
 * ones go back to the system, and getting them again costs more than the arithmetic done in them.
 */
const MAX_ELEMENTS = 7 * 1024 * 1024;

/** The part of another tensor that belongs to a band; a tensor with one value for each channel belongs to all. */
export type Cut = (t: tf.Tensor) => tf.Tensor;

/**
 * `work` on an image in bands of rows, for work that looks at one pixel at a time: its intermediates are then the
 * size of a band.
 * @param x `[1, H, W, C]`
 * @param work gets a band `[h, W, C]`, and cuts the same rows out of what else it needs, `[1, H, W, …]` or `[C]`
 */
export function inBands(x: tf.Tensor, work: (band: tf.Tensor, cut: Cut) => tf.Tensor): tf.Tensor {
  const [, height, width, channels] = x.shape as [number, number, number, number];
  const tile = Math.max(1, Math.floor(MAX_ELEMENTS / (width * channels)));
  return tf.tidy(() => {
    const bands: tf.Tensor[] = [];
    for (let start = 0; start < height; start += tile) {
      const count = Math.min(tile, height - start);
      const cut: Cut = t => (t.rank === 1 ? t : rowsOf(t, start, count));
      bands.push(tf.tidy(() => work(cut(x), cut).clone()));
    }
    const joined = bands.length === 1 ? (bands[0] as tf.Tensor) : tf.concat(bands);
    return tf.reshape(joined, [1, height, width, joined.shape[2] as number]);
  });
}

/** Without the axis of the batch the rows come first, where a slice is a view on most backends. */
function rowsOf(t: tf.Tensor, start: number, count: number): tf.Tensor {
  const [, height, width, channels] = t.shape as [number, number, number, number];
  const rows = tf.reshape(t, [height, width, channels]);
  return count === height ? rows : tf.slice(rows, [start, 0, 0], [count, width, channels]);
}
