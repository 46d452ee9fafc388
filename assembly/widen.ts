/**
 * Matrices of quantised blocks as layers want them: decoded to float32 and transposed. Sixteen rows at a time, which are one
 * line of the processor's cache in every column of the result.
 */

/** How values are stored; any other is Q8_0. */
const Q4_0: i32 = 0;

/** Rows at a time. */
const ROWS: usize = 16;
/** Columns of a block of the quantised types. */
const BLOCK: usize = 32;

/** Bytes of scratch memory that `widen` wants. */
export function widenScratch(): usize {
  return (ROWS << 2) + ROWS * BLOCK;
}

/**
 * @param rows stored, `stride` bytes apart; a multiple of sixteen
 * @param columns a multiple of 32
 * @param out `[columns, …]`, columns `ldo` bytes apart
 */
export function widen(
  kind: i32,
  from: usize,
  stride: usize,
  rows: usize,
  columns: usize,
  out: usize,
  ldo: usize,
  scratch: usize,
): void {
  // Columns are the outer loop: so a column of the result is written for some lines on end.
  for (let column: usize = 0; column < columns; column += BLOCK) {
    let at = from;
    let to = out + column * ldo;
    for (let row: usize = 0; row < rows; row += ROWS) {
      if (kind === Q4_0) blocksOfQ4(at, stride, to, ldo, scratch);
      else blocksOfQ8(at, stride, to, ldo, scratch);
      at += ROWS * stride;
      to += ROWS << 2;
    }
    from += kind === Q4_0 ? 18 : 34;
  }
}

/** A block is of a scale and 16 bytes, low codes before high ones, each less eight. */
@inline
function blocksOfQ4(from: usize, stride: usize, out: usize, ldo: usize, scratch: usize): void {
  const codes = scratch + (ROWS << 2);
  const eight = i8x16.splat(8);
  scales(from, stride, scratch);
  turnBytes(from + 2, stride, codes);
  const high = out + 16 * ldo;
  for (let i: usize = 0; i < 16; i++) {
    const both = v128.load(codes + (i << 4));
    scaled(i8x16.sub(v128.and(both, i8x16.splat(15)), eight), scratch, out + i * ldo);
    scaled(i8x16.sub(i8x16.shr_u(both, 4), eight), scratch, high + i * ldo);
  }
}

/** A block is of a scale and 32 signed codes. */
@inline
function blocksOfQ8(from: usize, stride: usize, out: usize, ldo: usize, scratch: usize): void {
  const codes = scratch + (ROWS << 2);
  scales(from, stride, scratch);
  turnBytes(from + 2, stride, codes);
  turnBytes(from + 18, stride, codes + 256);
  for (let i: usize = 0; i < BLOCK; i++) scaled(v128.load(codes + (i << 4)), scratch, out + i * ldo);
}

/** Float16 in the lower halves of four lanes. A power of two sets the exponent right, and subnormals. */
@inline
function fromFloat16(bits: v128): v128 {
  const magnitude = i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13);
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16);
  const exponent = i32x4.splat(0x7c00);
  const isOutside = i32x4.eq(v128.and(bits, exponent), exponent);
  const value = f32x4.mul(magnitude, f32x4.splat(reinterpret<f32>(0x77800000)));
  return v128.or(v128.or(value, sign), v128.and(isOutside, i32x4.splat(0x7f800000)));
}

/** The scales of sixteen blocks, one below the other, as float32. */
function scales(from: usize, stride: usize, to: usize): void {
  for (let row: usize = 0; row < ROWS; row++) store<u32>(to + (row << 2), load<u16>(from + row * stride));
  for (let i: usize = 0; i < ROWS << 2; i += 16) v128.store(to + i, fromFloat16(v128.load(to + i)));
}

/** Sixteen signed codes, one of each row, times the scales. */
@inline
function scaled(codes: v128, by: usize, to: usize): void {
  const low = i16x8.extend_low_i8x16_s(codes);
  const high = i16x8.extend_high_i8x16_s(codes);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), v128.load(by)));
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), v128.load(by, 16)), 16);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), v128.load(by, 32)), 32);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), v128.load(by, 48)), 48);
}

/** Sixteen bytes of each of sixteen rows, as columns. */
function turnBytes(from: usize, stride: usize, to: usize): void {
  for (let row: usize = 0; row < ROWS; row += 4) {
    const at = from + row * stride;
    const r0 = v128.load(at);
    const r1 = v128.load(at + stride);
    const r2 = v128.load(at + (stride << 1));
    const r3 = v128.load(at + stride * 3);
    const low01 = i8x16.shuffle(r0, r1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const low23 = i8x16.shuffle(r2, r3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const high01 = i8x16.shuffle(r0, r1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const high23 = i8x16.shuffle(r2, r3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    fourColumns(i16x8.shuffle(low01, low23, 0, 8, 1, 9, 2, 10, 3, 11), to + row);
    fourColumns(i16x8.shuffle(low01, low23, 4, 12, 5, 13, 6, 14, 7, 15), to + row + 64);
    fourColumns(i16x8.shuffle(high01, high23, 0, 8, 1, 9, 2, 10, 3, 11), to + row + 128);
    fourColumns(i16x8.shuffle(high01, high23, 4, 12, 5, 13, 6, 14, 7, 15), to + row + 192);
  }
}

/** Four bytes of each of four columns, sixteen bytes apart. */
@inline
function fourColumns(bytes: v128, to: usize): void {
  v128.store32_lane(to, bytes, 0);
  v128.store32_lane(to, bytes, 1, 16);
  v128.store32_lane(to, bytes, 2, 32);
  v128.store32_lane(to, bytes, 3, 48);
}
