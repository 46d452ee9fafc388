/** Bytes that one element takes, for every element type that ertacache reads from safetensors files. */
export const DTYPE_BYTES = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  I8: 1,
  U8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  BOOL: 1,
} as const;

/** An element type, by its name in the safetensors format. */
export type DType = keyof typeof DTYPE_BYTES;

export function isDType(name: string): name is DType {
  return Object.hasOwn(DTYPE_BYTES, name);
}

const INTEGERS: readonly string[] = ['I64', 'I32', 'I16', 'I8', 'U8', 'BOOL'];

/** True for the types whose values are real numbers, which a model computes with. */
export function isFloating(dtype: string): boolean {
  return !INTEGERS.includes(dtype);
}

/** Number of elements of a shape; 1 for a scalar. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** `shape` as people write it: `[4, 3]`. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
