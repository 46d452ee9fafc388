import { ShapeError } from '../errors';
import { elements, showShape } from './dtype';
import type { Layout, Parameter } from './parameters';
import type { TensorEntry } from './source';

/** Elements of a square tile whose rows and columns both stay in the processor's cache. */
const TILE = 32;

/** Shape in which layers want a parameter. */
export function laidOutShape({ name, shape, layout }: Parameter): number[] {
  const ranks: Record<Layout, number> = { plain: shape.length, matrix: 2, conv2d: 4, conv3d: 5 };
  if (shape.length !== ranks[layout]) {
    throw new ShapeError(`${name} of shape ${showShape(shape)} cannot be laid out as ${layout}.`);
  }
  if (layout === 'plain') return [...shape];
  const [outputs, inputs, ...kernel] = shape;
  return [...kernel, inputs!, outputs!];
}

/** A parameter as it is stored: one that is laid out already is taken as it is. */
export function asStored(parameter: Parameter, { isLaidOut }: Pick<TensorEntry, 'isLaidOut'>): Parameter {
  return isLaidOut ? { ...parameter, shape: laidOutShape(parameter), layout: 'plain' } : parameter;
}

/**
 * Moves rows of a stored kernel `[out, in, …k]` to their places in `target`, laid out as `[…k, in, out]`.
 * A kernel can so be laid out from slices, while only one slice is in memory beside the target.
 * @param rows the values of whole rows, row-major
 * @param firstRow index of the first of them
 */
export function placeRows(target: Float32Array, rows: Float32Array, firstRow: number, shape: readonly number[]): void {
  const [outputs, inputs, ...kernel] = shape as [number, number, ...number[]];
  const taps = elements(kernel);
  const width = inputs * taps;
  const count = rows.length / width;
  for (let row0 = 0; row0 < count; row0 += TILE) {
    const row1 = Math.min(row0 + TILE, count);
    for (let column0 = 0; column0 < width; column0 += TILE) {
      const column1 = Math.min(column0 + TILE, width);
      for (let column = column0; column < column1; column++) {
        const input = taps === 1 ? column : Math.floor(column / taps);
        const at = ((column - input * taps) * inputs + input) * outputs + firstRow;
        for (let row = row0; row < row1; row++) target[at + row] = rows[row * width + column]!;
      }
    }
  }
}

/** A whole stored parameter as layers want it. `plain` values are returned as they are, not copied. */
export function layOut<Memory extends ArrayBufferLike>(
  values: Float32Array<Memory>,
  parameter: Parameter,
): Float32Array<Memory | ArrayBuffer> {
  if (parameter.layout === 'plain') return values;
  const target = new Float32Array(values.length);
  placeRows(target, values, 0, parameter.shape);
  return target;
}
