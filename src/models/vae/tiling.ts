import * as tf from '@tensorflow/tfjs-core';

/** How a large latent is cut into overlapping tiles, in rows and columns of the latent. */
export interface Tiling {
  /** Rows and columns of a tile. */
  readonly tile: readonly [height: number, width: number];
  /** Rows and columns from one tile to the next; what is left of a tile overlaps the next one and fades into it. */
  readonly stride: readonly [height: number, width: number];
}

/** True when the latent is larger than one tile. */
export function needsTiles({ tile }: Tiling, height: number, width: number): boolean {
  return height > tile[0] || width > tile[1];
}

/** Where tiles begin along an axis. */
export function tileStarts(size: number, stride: number): number[] {
  return Array.from({ length: Math.ceil(size / stride) }, (_, i) => i * stride);
}

/**
 * Decodes a latent tile by tile and fades every tile into those above it and to its left.
 * @param latent `[C, T, h, w]`
 * @param scale pixels to a row of the latent
 * @param decode a tile `[C, T, h', w']` to pixels `[C', T', scale · h', scale · w']`; the pixels are given away
 * @returns `[C', T', scale · h, scale · w]`
 */
export async function decodeTiles(
  latent: tf.Tensor,
  { tile, stride }: Tiling,
  scale: number,
  decode: (tile: tf.Tensor) => Promise<tf.Tensor>,
): Promise<tf.Tensor> {
  const [channels, frames, height, width] = latent.shape as [number, number, number, number];
  const overlap = [(tile[0] - stride[0]) * scale, (tile[1] - stride[1]) * scale] as const;
  let above: tf.Tensor[] = [];
  let row: tf.Tensor[] = [];
  let outer: number[] = [];
  const rows: tf.Tensor[] = [];
  try {
    for (const top of tileStarts(height, stride[0])) {
      for (const [column, left] of tileStarts(width, stride[1]).entries()) {
        const size = [channels, frames, Math.min(tile[0], height - top), Math.min(tile[1], width - left)];
        const part = tf.slice(latent, [0, 0, top, left], size);
        const pixels = await decode(part).finally(() => part.dispose());
        outer = pixels.shape.slice(0, 2);
        const faded = tf.tidy(() => {
          const planes = tf.reshape(pixels, [-1, ...pixels.shape.slice(2)]);
          return fade(row[column - 1], fade(above[column], planes, 1, overlap[0]), 2, overlap[1]).clone();
        });
        pixels.dispose();
        row.push(faded);
      }
      rows.push(
        tf.tidy(() =>
          tf.concat(
            row.map(t => crop(t, stride[0] * scale, stride[1] * scale)),
            2,
          ),
        ),
      );
      tf.dispose(above);
      above = row;
      row = [];
    }
    return tf.tidy(() => tf.reshape(tf.concat(rows, 1), [...outer, height * scale, width * scale]));
  } finally {
    tf.dispose([...above, ...row, ...rows]);
  }
}

/** `b` with its first rows (axis 1) or columns (axis 2) faded in from the last ones of `a`. Shapes `[N, H, W]`. */
function fade(a: tf.Tensor | undefined, b: tf.Tensor, axis: 1 | 2, overlap: number): tf.Tensor {
  if (!a) return b;
  const [sizeA, sizeB] = [a.shape[axis] as number, b.shape[axis] as number];
  const extent = Math.min(sizeA, sizeB, overlap);
  if (extent === 0) return b;
  const shape = axis === 1 ? [1, extent, 1] : [1, 1, extent];
  const weight = tf.reshape(tf.tensor1d(Array.from({ length: extent }, (_, i) => i / extent)), shape);
  const part = (t: tf.Tensor, start: number, count: number): tf.Tensor =>
    axis === 1 ? tf.slice(t, [0, start, 0], [-1, count, -1]) : tf.slice(t, [0, 0, start], [-1, -1, count]);
  const tail = tf.mul(part(a, sizeA - extent, extent), tf.sub(1, weight));
  const mixed = tf.add(tail, tf.mul(part(b, 0, extent), weight));
  return extent === sizeB ? mixed : tf.concat([mixed, part(b, extent, sizeB - extent)], axis);
}

/** At most the first `height` rows and `width` columns. */
function crop(t: tf.Tensor, height: number, width: number): tf.Tensor {
  const [count, rows, columns] = t.shape as [number, number, number];
  return tf.slice(t, [0, 0, 0], [count, Math.min(rows, height), Math.min(columns, width)]);
}
