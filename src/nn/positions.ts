import * as tf from '@tensorflow/tfjs-core';

/** Every combination of the three axes' positions, `[frame, row, column]`, in the order of the tokens. */
export function gridPositions(
  frames: readonly number[],
  rows: readonly number[],
  columns: readonly number[],
): [number, number, number][] {
  return frames.flatMap(t => rows.flatMap(y => columns.map((x): [number, number, number] => [t, y, x])));
}

/** 0 … count - 1. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/**
 * Sine-cosine positions, added to the tokens: the axes side by side, each as sines then cosines, in double
 * precision and rounded once to float32.
 * @param positions one row per token, one column per axis
 * @param dims how many channels each axis takes; even numbers
 * @returns `[N, Σ dims]`
 */
export function sincosTable(positions: readonly (readonly number[])[], dims: readonly number[]): tf.Tensor2D {
  const width = dims.reduce((a, b) => a + b, 0);
  const table = new Float32Array(positions.length * width);
  positions.forEach((position, token) => {
    let at = token * width;
    dims.forEach((dim, axis) => {
      const half = dim / 2;
      for (let i = 0; i < half; i++) {
        const angle = (position[axis] as number) * 10_000 ** (-i / half);
        table[at + i] = Math.sin(angle);
        table[at + half + i] = Math.cos(angle);
      }
      at += dim;
    });
  });
  return tf.tensor2d(table, [positions.length, width]);
}
