import { NumericError } from '../errors';
import { DTYPE_BYTES, type DType } from './dtype';

/**
 * Float32 values of little-endian `bytes`. F16 and BF16 widen bit by bit (subnormals, infinities and NaN patterns
 * included; a signalling NaN of F16 turns quiet, as in every processor that converts it); F64 and integers round to the nearest float32; BOOL gives 0 or 1.
 * F32 at an aligned offset is not copied: the result then looks at the same memory.
 */
export function widenToFloat32(bytes: Uint8Array<ArrayBuffer>, dtype: DType): Float32Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = aligned(bytes, DTYPE_BYTES[dtype]);
  const count = length / DTYPE_BYTES[dtype];
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, count);
    case 'F16':
      return widenFloat16(new Uint16Array(buffer, byteOffset, count));
    case 'BF16':
      return widenBfloat16(new Uint16Array(buffer, byteOffset, count));
    case 'F64':
      return new Float32Array(new Float64Array(buffer, byteOffset, count));
    case 'I64':
      return Float32Array.from(new BigInt64Array(buffer, byteOffset, count), nearestFloat32);
    case 'I32':
      return new Float32Array(new Int32Array(buffer, byteOffset, count));
    case 'I16':
      return new Float32Array(new Int16Array(buffer, byteOffset, count));
    case 'I8':
      return new Float32Array(new Int8Array(buffer, byteOffset, count));
    case 'U8':
      return new Float32Array(new Uint8Array(buffer, byteOffset, count));
    case 'F8_E4M3':
    case 'F8_E5M2':
      return widenFloat8(new Uint8Array(buffer, byteOffset, count), dtype);
    case 'BOOL':
      return Float32Array.from(new Uint8Array(buffer, byteOffset, count), bit => (bit === 0 ? 0 : 1));
  }
}

/**
 * Int32 values of little-endian `bytes` of an integer type or BOOL.
 * @param name what errors call the tensor
 * @throws NumericError for a floating type and for an I64 that does not fit
 */
export function widenToInt32(bytes: Uint8Array<ArrayBuffer>, dtype: DType, name: string): Int32Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = aligned(bytes, DTYPE_BYTES[dtype]);
  const count = length / DTYPE_BYTES[dtype];
  switch (dtype) {
    case 'I64':
      return Int32Array.from(new BigInt64Array(buffer, byteOffset, count), value => {
        if (BigInt.asIntN(32, value) === value) return Number(value);
        throw new NumericError(`Tensor ${name} holds the integer ${value}, which does not fit in 32 bits.`);
      });
    case 'I32':
      return new Int32Array(buffer, byteOffset, count);
    case 'I16':
      return new Int32Array(new Int16Array(buffer, byteOffset, count));
    case 'I8':
      return new Int32Array(new Int8Array(buffer, byteOffset, count));
    case 'U8':
      return new Int32Array(new Uint8Array(buffer, byteOffset, count));
    case 'BOOL':
      return Int32Array.from(new Uint8Array(buffer, byteOffset, count), bit => (bit === 0 ? 0 : 1));
    default:
      throw new NumericError(`Tensor ${name} holds ${dtype} values, not integers.`);
  }
}

/** Float32 values of float16 bit patterns. */
export function widenFloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  float16Table ??= buildFloat16Table();
  const table = float16Table;
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < bits.length; i++) bits[i] = table[halves[i]!]!;
  return new Float32Array(bits.buffer);
}

/** Float32 values of bfloat16 bit patterns: a bfloat16 is the upper half of a float32. */
export function widenBfloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < bits.length; i++) bits[i] = halves[i]! << 16;
  return new Float32Array(bits.buffer);
}

/** Every float16 as float32, by its bits. */
export function float16Values(): Float32Array {
  float16Table ??= buildFloat16Table();
  return new Float32Array(float16Table.buffer);
}

/** Float32 values of float8 codes: E4M3 in the variant without infinities ("fn"), E5M2 as IEEE would have it. */
function widenFloat8(codes: Uint8Array, dtype: 'F8_E4M3' | 'F8_E5M2'): Float32Array<ArrayBuffer> {
  float8Tables ??= { F8_E4M3: float8E4M3(), F8_E5M2: float8E5M2() };
  const table = float8Tables[dtype];
  const out = new Float32Array(codes.length);
  for (let i = 0; i < out.length; i++) out[i] = table[codes[i]!]!;
  return out;
}

let float8Tables: Readonly<Record<'F8_E4M3' | 'F8_E5M2', Float32Array>> | undefined;

/** Bias 7. The largest exponent holds numbers too, up to 448; only all ones are not a number. */
function float8E4M3(): Float32Array {
  return Float32Array.from({ length: 256 }, (_, code) => {
    const [sign, exponent, mantissa] = [code & 0x80 ? -1 : 1, (code >> 3) & 15, code & 7];
    if ((code & 0x7f) === 0x7f) return Number.NaN;
    return sign * (exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10));
  });
}

/** The upper byte of a float16. */
function float8E5M2(): Float32Array {
  const halves = float16Values();
  return Float32Array.from({ length: 256 }, (_, code) => halves[code << 8]!);
}

/** Float32 bits of every float16, made at first use: 256 KB that spare the branches of each conversion. */
let float16Table: Uint32Array<ArrayBuffer> | undefined;

function buildFloat16Table(): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: 0x10000 }, (_, half) => {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    let mantissa = half & 0x3ff;
    if (exponent === 0x1f) return sign | 0x7f800000 | (mantissa << 13) | (mantissa ? 0x400000 : 0);
    if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
    if (mantissa === 0) return sign;
    // Subnormal: shift the leading one into the hidden place; each shift halves the scale.
    let shifted = 113;
    for (; (mantissa & 0x400) === 0; shifted--) mantissa <<= 1;
    return sign | (shifted << 23) | ((mantissa & 0x3ff) << 13);
  });
}

/** Nearest float32, ties to even. Through a double first, an integer beyond 2^53 could round twice. */
function nearestFloat32(value: bigint): number {
  const magnitude = value < 0n ? -value : value;
  if (magnitude <= 1n << 53n) return Math.fround(Number(value));
  // Keep 53 bits and fold the rest into a sticky last bit, so that the one rounding left is the right one.
  const shift = BigInt(magnitude.toString(2).length - 53);
  const kept = magnitude >> shift;
  const sticky = kept << shift === magnitude ? kept : kept | 1n;
  const rounded = Math.fround(Number(sticky) * 2 ** Number(shift));
  return value < 0n ? -rounded : rounded;
}

function aligned(bytes: Uint8Array<ArrayBuffer>, width: number): Uint8Array<ArrayBuffer> {
  return bytes.byteOffset % width === 0 ? bytes : bytes.slice();
}
