/** `activation(a · b + bias) · times`, matrices by rows. */
import { activate4 } from './numbers';
import { packColumns } from './panel';
import { share } from './share';
import { COLUMNS, PANEL_ROW, ROWS, tile, tile2x16 } from './tile';

/** Rows of `b` that are packed at a time: a panel of them lies in the nearest cache. */
const DEPTH: usize = 768;
/** Up to so many rows, `b` is read where it is: packing it would be a large part of the work. */
const FEW_ROWS: usize = 24;
const WIDE: usize = 16;

/** Bytes of scratch memory that `product` wants. */
export function productScratch(k: usize): usize {
  return min(k, DEPTH) * PANEL_ROW + (ROWS + 2) * WIDE * 4;
}

/**
 * A share of the columns, `part` of `parts`, so that threads can work side by side: every sum runs along k from its start.
 * @param a `[m, k]`
 * @param b `[k, n]`
 * @param c `[m, n]`
 * @param bias `[n]`, or 0
 * @param times `[m, n]`, or 0
 */
export function product(
  a: usize,
  b: usize,
  c: usize,
  m: usize,
  k: usize,
  n: usize,
  bias: usize,
  activation: i32,
  times: usize,
  part: usize,
  parts: usize,
  scratch: usize,
): void {
  const lda = k << 2;
  const ldc = n << 2;
  const spare = scratch;
  const panel = scratch + (ROWS + 2) * WIDE * 4;
  const panels = (n + COLUMNS - 1) / COLUMNS;
  const first = share(panels, part, parts) * COLUMNS;
  const last = min(n, share(panels, part + 1, parts) * COLUMNS);
  let j = first;
  if (m <= 2) {
    for (; j + WIDE <= last; j += WIDE) {
      const at = c + (j << 2);
      const next = m - 1;
      tile2x16(a, a + next * lda, b + (j << 2), ldc, k, at, at + next * ldc);
      finish(at, ldc, m, WIDE, bias, activation, times, j, ldc);
    }
  }
  for (; j < last; j += COLUMNS) {
    const count = min(COLUMNS, n - j);
    const isWhole = count === COLUMNS;
    for (let start: usize = 0; start < k; start += DEPTH) {
      const depth = min(DEPTH, k - start);
      let from = b + start * ldc + (j << 2);
      let ldb = ldc;
      if (m > FEW_ROWS || !isWhole) {
        packColumns(from, ldc, depth, count, panel);
        from = panel;
        ldb = PANEL_ROW;
      }
      for (let i: usize = 0; i < m; i += ROWS) {
        const rows = min(ROWS, m - i);
        const at = c + i * ldc + (j << 2);
        const rowsOfA = a + i * lda + (start << 2);
        if (isWhole) {
          tile(rowsOfA, lda, from, ldb, depth, at, ldc, rows, start > 0);
          if (start + depth === k) finish(at, ldc, rows, COLUMNS, bias, activation, times ? times + i * ldc : 0, j, ldc);
        } else {
          if (start > 0) copy(at, ldc, spare, PANEL_ROW, rows, count);
          tile(rowsOfA, lda, from, ldb, depth, spare, PANEL_ROW, rows, start > 0);
          copy(spare, PANEL_ROW, at, ldc, rows, count);
          if (start + depth === k) finishFew(at, ldc, rows, count, bias, activation, times ? times + i * ldc : 0, j, spare);
        }
      }
    }
  }
}

function copy(from: usize, ldf: usize, to: usize, ldt: usize, rows: usize, count: usize): void {
  for (let i: usize = 0; i < rows; i++) {
    for (let j: usize = 0; j < count; j++) store<f32>(to + i * ldt + (j << 2), load<f32>(from + i * ldf + (j << 2)));
  }
}

/** Bias, activation and factor of rows of sums, a multiple of four columns from column `j` on. */
@inline
function finish(
  c: usize,
  ldc: usize,
  rows: usize,
  columns: usize,
  bias: usize,
  activation: i32,
  times: usize,
  j: usize,
  ldt: usize,
): void {
  if (!bias && !activation && !times) return;
  for (let i: usize = 0; i < rows; i++) {
    for (let q: usize = 0; q < columns << 2; q += 16) {
      let x = v128.load(c + q);
      if (bias) x = f32x4.add(x, v128.load(bias + (j << 2) + q));
      x = activate4(x, activation);
      if (times) x = f32x4.mul(x, v128.load(times + i * ldt + (j << 2) + q));
      v128.store(c + q, x);
    }
    c += ldc;
  }
}

/** The same for columns that are no multiple of four, one value at a time. */
function finishFew(
  c: usize,
  ldc: usize,
  rows: usize,
  count: usize,
  bias: usize,
  activation: i32,
  times: usize,
  j: usize,
  _spare: usize,
): void {
  for (let i: usize = 0; i < rows; i++) {
    for (let q: usize = 0; q < count << 2; q += 4) {
      let x = v128.load32_splat(c + q);
      if (bias) x = f32x4.add(x, v128.load32_splat(bias + (j << 2) + q));
      x = activate4(x, activation);
      if (times) x = f32x4.mul(x, v128.load32_splat(times + i * ldc + (j << 2) + q));
      store<f32>(c + q, f32x4.extract_lane(x, 0));
    }
    c += ldc;
  }
}
