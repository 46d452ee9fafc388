const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** `value` rounded to the nearest bfloat16 (ties to even), as a number. */
export function roundToBfloat16(value: number): number {
  float[0] = value;
  // Rounding would carry a NaN's payload into infinity.
  if (Number.isNaN(value)) return value;
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return float[0]!;
}
