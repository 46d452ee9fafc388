/** The heart of every product: a tile of the result, held in registers while the sums run along k. */
import { madd } from './numbers';

/** Columns of a tile: two vectors. */
export const COLUMNS: usize = 8;
/** Bytes of a row of a packed panel. */
export const PANEL_ROW: usize = COLUMNS << 2;
/**
 * Rows of a tile. Sums and what is loaded must fit in 15 registers, since V8 loads first and multiplies then; the plain
 * build needs one more for products.
 */
export const ROWS: usize = ASC_FEATURE_RELAXED_SIMD ? 6 : 4;

/**
 * `c = (isNext ? c : 0) + a · b` for `rows` rows, 1 to ROWS, and eight columns. Rows that a tile lacks repeat its last
 * one: they compute the same and write it to the same place.
 * @param a rows `lda` bytes apart, k values each
 * @param b k rows of eight values, `ldb` bytes apart
 * @param c rows `ldc` bytes apart
 */
export function tile(
  a: usize,
  lda: usize,
  b: usize,
  ldb: usize,
  k: usize,
  c: usize,
  ldc: usize,
  rows: usize,
  isNext: bool,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) tile6(a, lda, b, ldb, k, c, ldc, rows, isNext);
  else tile4(a, lda, b, ldb, k, c, ldc, rows, isNext);
}

@inline
function tile6(
  a: usize,
  lda: usize,
  b: usize,
  ldb: usize,
  k: usize,
  c: usize,
  ldc: usize,
  rows: usize,
  isNext: bool,
): void {
  let a0 = a;
  let a1 = rows > 1 ? a0 + lda : a0;
  let a2 = rows > 2 ? a1 + lda : a1;
  let a3 = rows > 3 ? a2 + lda : a2;
  let a4 = rows > 4 ? a3 + lda : a3;
  let a5 = rows > 5 ? a4 + lda : a4;
  const c1 = rows > 1 ? c + ldc : c;
  const c2 = rows > 2 ? c1 + ldc : c1;
  const c3 = rows > 3 ? c2 + ldc : c2;
  const c4 = rows > 4 ? c3 + ldc : c3;
  const c5 = rows > 5 ? c4 + ldc : c4;
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  let s40 = s00;
  let s41 = s00;
  let s50 = s00;
  let s51 = s00;
  if (isNext) {
    s00 = v128.load(c);
    s01 = v128.load(c, 16);
    s10 = v128.load(c1);
    s11 = v128.load(c1, 16);
    s20 = v128.load(c2);
    s21 = v128.load(c2, 16);
    s30 = v128.load(c3);
    s31 = v128.load(c3, 16);
    s40 = v128.load(c4);
    s41 = v128.load(c4, 16);
    s50 = v128.load(c5);
    s51 = v128.load(c5, 16);
  }
  const end = a + (k << 2);
  while (a0 < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a0);
    s00 = madd(x, b0, s00);
    s01 = madd(x, b1, s01);
    x = v128.load32_splat(a1);
    s10 = madd(x, b0, s10);
    s11 = madd(x, b1, s11);
    x = v128.load32_splat(a2);
    s20 = madd(x, b0, s20);
    s21 = madd(x, b1, s21);
    x = v128.load32_splat(a3);
    s30 = madd(x, b0, s30);
    s31 = madd(x, b1, s31);
    x = v128.load32_splat(a4);
    s40 = madd(x, b0, s40);
    s41 = madd(x, b1, s41);
    x = v128.load32_splat(a5);
    s50 = madd(x, b0, s50);
    s51 = madd(x, b1, s51);
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
    a4 += 4;
    a5 += 4;
    b += ldb;
  }
  v128.store(c, s00);
  v128.store(c, s01, 16);
  v128.store(c1, s10);
  v128.store(c1, s11, 16);
  v128.store(c2, s20);
  v128.store(c2, s21, 16);
  v128.store(c3, s30);
  v128.store(c3, s31, 16);
  v128.store(c4, s40);
  v128.store(c4, s41, 16);
  v128.store(c5, s50);
  v128.store(c5, s51, 16);
}

@inline
function tile4(
  a: usize,
  lda: usize,
  b: usize,
  ldb: usize,
  k: usize,
  c: usize,
  ldc: usize,
  rows: usize,
  isNext: bool,
): void {
  let a0 = a;
  let a1 = rows > 1 ? a0 + lda : a0;
  let a2 = rows > 2 ? a1 + lda : a1;
  let a3 = rows > 3 ? a2 + lda : a2;
  const c1 = rows > 1 ? c + ldc : c;
  const c2 = rows > 2 ? c1 + ldc : c1;
  const c3 = rows > 3 ? c2 + ldc : c2;
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  if (isNext) {
    s00 = v128.load(c);
    s01 = v128.load(c, 16);
    s10 = v128.load(c1);
    s11 = v128.load(c1, 16);
    s20 = v128.load(c2);
    s21 = v128.load(c2, 16);
    s30 = v128.load(c3);
    s31 = v128.load(c3, 16);
  }
  const end = a + (k << 2);
  while (a0 < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a0);
    s00 = madd(x, b0, s00);
    s01 = madd(x, b1, s01);
    x = v128.load32_splat(a1);
    s10 = madd(x, b0, s10);
    s11 = madd(x, b1, s11);
    x = v128.load32_splat(a2);
    s20 = madd(x, b0, s20);
    s21 = madd(x, b1, s21);
    x = v128.load32_splat(a3);
    s30 = madd(x, b0, s30);
    s31 = madd(x, b1, s31);
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
    b += ldb;
  }
  v128.store(c, s00);
  v128.store(c, s01, 16);
  v128.store(c1, s10);
  v128.store(c1, s11, 16);
  v128.store(c2, s20);
  v128.store(c2, s21, 16);
  v128.store(c3, s30);
  v128.store(c3, s31, 16);
}

/**
 * Two rows, the second the same as the first where there is one only, and sixteen columns: for products of so few rows
 * that packing would cost more than it brings.
 */
export function tile2x16(a: usize, a1: usize, b: usize, ldb: usize, k: usize, c: usize, c1: usize): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s02 = s00;
  let s03 = s00;
  let s10 = s00;
  let s11 = s00;
  let s12 = s00;
  let s13 = s00;
  const end = a + (k << 2);
  while (a < end) {
    const x = v128.load32_splat(a);
    const y = v128.load32_splat(a1);
    let w = v128.load(b);
    s00 = madd(x, w, s00);
    s10 = madd(y, w, s10);
    w = v128.load(b, 16);
    s01 = madd(x, w, s01);
    s11 = madd(y, w, s11);
    w = v128.load(b, 32);
    s02 = madd(x, w, s02);
    s12 = madd(y, w, s12);
    w = v128.load(b, 48);
    s03 = madd(x, w, s03);
    s13 = madd(y, w, s13);
    a += 4;
    a1 += 4;
    b += ldb;
  }
  v128.store(c, s00);
  v128.store(c, s01, 16);
  v128.store(c, s02, 32);
  v128.store(c, s03, 48);
  v128.store(c1, s10);
  v128.store(c1, s11, 16);
  v128.store(c1, s12, 32);
  v128.store(c1, s13, 48);
}
