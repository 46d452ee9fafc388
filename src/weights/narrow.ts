/** The largest finite float16. */
export const MAX_FLOAT16 = 65504;

const word = new Uint32Array(1);
const real = new Float32Array(word.buffer);

/**
 * Float16 bit patterns of float32 values: nearest, ties to even; subnormals kept; beyond the range, infinity;
 * NaN stays NaN.
 */
export function narrowToFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = narrowBits(bits[i]!);
  return out;
}

function narrowBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff); // NaN, quiet
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude >= 0x38800000) {
    // Normal: rebias the exponent, then round the 13 lost bits; a carry runs into the exponent, which is right.
    const odd = (magnitude >>> 13) & 1;
    return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
  }
  // Subnormal: a whole number of 2^-24 units. The sum with 0.5 leaves that number, rounded, in the low bits.
  word[0] = magnitude;
  real[0] = real[0]! + 0.5;
  return sign | (word[0]! - 0x3f000000);
}
