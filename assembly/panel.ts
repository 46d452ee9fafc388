/** Packing: eight columns of a matrix, or eight of its rows, side by side as a tile reads them. */
import { COLUMNS, PANEL_ROW } from './tile';

/** Eight columns of `k` rows, `ldb` bytes apart; columns from `count` on are zeros. */
export function packColumns(b: usize, ldb: usize, k: usize, count: usize, to: usize): void {
  if (count >= COLUMNS) {
    for (let i: usize = 0; i < k; i++) {
      v128.store(to, v128.load(b));
      v128.store(to, v128.load(b, 16), 16);
      to += PANEL_ROW;
      b += ldb;
    }
    return;
  }
  for (let i: usize = 0; i < k; i++) {
    for (let j: usize = 0; j < COLUMNS; j++) {
      store<f32>(to + (j << 2), j < count ? load<f32>(b + (j << 2)) : 0);
    }
    to += PANEL_ROW;
    b += ldb;
  }
}

/** Eight rows of `k` values, `ldb` bytes apart, as columns; rows from `count` on are zeros. */
export function packRows(b: usize, ldb: usize, k: usize, count: usize, to: usize): void {
  let i: usize = 0;
  if (count >= COLUMNS) {
    for (; i + 4 <= k; i += 4) {
      const at = b + (i << 2);
      turn(at, ldb, to);
      turn(at + (ldb << 2), ldb, to + 16);
      to += PANEL_ROW << 2;
    }
  }
  for (; i < k; i++) {
    for (let j: usize = 0; j < COLUMNS; j++) {
      store<f32>(to + (j << 2), j < count ? load<f32>(b + j * ldb + (i << 2)) : 0);
    }
    to += PANEL_ROW;
  }
}

/** Four rows of four values, as columns. */
@inline
function turn(b: usize, ldb: usize, to: usize): void {
  const r0 = v128.load(b);
  const r1 = v128.load(b + ldb);
  const r2 = v128.load(b + (ldb << 1));
  const r3 = v128.load(b + ldb * 3);
  const low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5);
  const high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7);
  const low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
  const high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(low01, low23, 0, 2));
  v128.store(to + PANEL_ROW, i64x2.shuffle(low01, low23, 1, 3));
  v128.store(to + (PANEL_ROW << 1), i64x2.shuffle(high01, high23, 0, 2));
  v128.store(to + PANEL_ROW * 3, i64x2.shuffle(high01, high23, 1, 3));
}
