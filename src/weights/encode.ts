import { elements, isFloating } from './dtype';
import type { TargetType, WeightSpec } from './manifest';
import { MAX_FLOAT16, narrowToFloat16 } from './narrow';
import type { StoredType } from './source';

/** Smallest and largest value of a tensor; both 0 for an empty one. */
export interface ValueRange {
  readonly min: number;
  readonly max: number;
}

export function joinRanges(a: ValueRange | undefined, values: Float32Array): ValueRange {
  let { min, max } = a ?? { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/**
 * How a tensor is to be stored. `float16` falls back to float32 for a tensor with values beyond ±65504; `uint8`
 * keeps float32 for whatever is not a matrix proper (norms, biases, modulation rows), which are small and to which
 * a model is far more sensitive than to its matrices. Integers and booleans keep their kind.
 * @param range of the values; needed for floating types only
 */
export function chooseSpec(
  name: string,
  stored: StoredType,
  shape: readonly number[],
  range: ValueRange,
  target: TargetType,
): WeightSpec {
  const plain = { name, shape: [...shape] };
  if (stored === 'BOOL') return { ...plain, dtype: 'bool' };
  if (!isFloating(stored)) return { ...plain, dtype: 'int32' };
  const spec: WeightSpec = { ...plain, dtype: 'float32' };
  if (target === 'float16' && Math.max(-range.min, range.max) <= MAX_FLOAT16) {
    return { ...spec, quantization: { dtype: 'float16' } };
  }
  if (target === 'uint8' && isMatrix(shape)) return { ...spec, quantization: { dtype: 'uint8', ...affine(range) } };
  return spec;
}

/** The little-endian bytes of floating values, stored as `spec` says. */
export function encodeValues(values: Float32Array<ArrayBuffer>, spec: WeightSpec): Uint8Array<ArrayBuffer> {
  const how = spec.quantization;
  if (how?.dtype === 'float16') return bytesOf(narrowToFloat16(values));
  if (how?.dtype === 'uint8') {
    const { min, scale } = how;
    const out = new Uint8Array(values.length);
    for (let i = 0; i < out.length; i++) {
      const level = ((values[i]! - min) / scale + 0.5) | 0;
      out[i] = level < 0 ? 0 : Math.min(level, 255);
    }
    return out;
  }
  return bytesOf(values);
}

/** The bytes of a view, not copied. */
export function bytesOf(view: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** A matrix, kernel or table with at least 16 rows and columns. */
function isMatrix(shape: readonly number[]): boolean {
  const [, second = 0] = shape.toSorted((a, b) => b - a);
  return second >= 16 && elements(shape) > 0;
}

/** Scale and offset of 256 levels over the range, moved so that zero, if within, is a level: zeros stay zeros. */
function affine({ min, max }: ValueRange): { min: number; scale: number } {
  if (min === max) return { min, scale: 1 };
  const scale = (max - min) / 255;
  return { min: min <= 0 && max >= 0 ? Math.round(min / scale) * scale : min, scale };
}
