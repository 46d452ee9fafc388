/** Softmax attention, head by head, without turning anything around in memory but a head's keys. */
import { exp4, laneMax, laneSum, madd } from './numbers';
import { packColumns, packRows } from './panel';
import { share } from './share';
import { COLUMNS, PANEL_ROW, ROWS, tile } from './tile';

@inline
function whole(count: usize): usize {
  return (count + COLUMNS - 1) & ~(COLUMNS - 1);
}

/** Bytes of scratch memory that `attend` wants. */
export function attendScratch(keys: usize, width: usize, valueWidth: usize): usize {
  return (whole(keys) * width + keys * whole(valueWidth) + ROWS * whole(keys) + ROWS * COLUMNS) << 2;
}

/**
 * A share of the heads of all images, `part` of `parts`.
 * @param q `[batch, queries, heads, width]`
 * @param k `[batch, keys, heads, width]`
 * @param v `[batch, keys, heads, valueWidth]`
 * @param out `[batch, queries, heads, valueWidth]`
 * @param bias added to scaled scores, or 0; `biasOfImage`, `biasOfHead` and `biasOfQuery` are its strides in bytes
 */
export function attend(
  q: usize,
  k: usize,
  v: usize,
  out: usize,
  batch: usize,
  heads: usize,
  queries: usize,
  keys: usize,
  width: usize,
  valueWidth: usize,
  scale: f32,
  bias: usize,
  biasOfImage: usize,
  biasOfHead: usize,
  biasOfQuery: usize,
  part: usize,
  parts: usize,
  scratch: usize,
): void {
  const all = batch * heads;
  const ldq = (heads * width) << 2;
  const ldv = (heads * valueWidth) << 2;
  const lds = whole(keys) << 2;
  const packedKeys = scratch;
  const packedValues = packedKeys + ((whole(keys) * width) << 2);
  const scores = packedValues + ((keys * whole(valueWidth)) << 2);
  const spare = scores + ROWS * lds;
  for (let item = share(all, part, parts), last = share(all, part + 1, parts); item < last; item++) {
    const image = item / heads;
    const head = item % heads;
    const ofQ = q + image * queries * ldq + ((head * width) << 2);
    const ofK = k + image * keys * ldq + ((head * width) << 2);
    const ofV = v + image * keys * ldv + ((head * valueWidth) << 2);
    const ofOut = out + image * queries * ldv + ((head * valueWidth) << 2);
    const ofBias = bias ? bias + image * biasOfImage + head * biasOfHead : 0;
    for (let j: usize = 0; j < keys; j += COLUMNS) {
      packRows(ofK + j * ldq, ldq, width, min(COLUMNS, keys - j), packedKeys + ((j * width) << 2));
    }
    for (let j: usize = 0; j < valueWidth; j += COLUMNS) {
      packColumns(ofV + (j << 2), ldv, keys, min(COLUMNS, valueWidth - j), packedValues + ((j * keys) << 2));
    }
    for (let i: usize = 0; i < queries; i += ROWS) {
      const rows = min(ROWS, queries - i);
      for (let j: usize = 0; j < keys; j += COLUMNS) {
        const panel = packedKeys + ((j * width) << 2);
        tile(ofQ + i * ldq, ldq, panel, PANEL_ROW, width, scores + (j << 2), lds, rows, false);
      }
      for (let r: usize = 0; r < rows; r++) {
        const total = softmaxRow(scores + r * lds, keys, scale, ofBias ? ofBias + (i + r) * biasOfQuery : 0);
        // Where the row's padding was, nothing is read; its sum stands in the spare place until the end.
        store<f32>(spare + r * PANEL_ROW, total);
      }
      // The sums are kept aside, since the tile overwrites the spare place.
      const t0 = load<f32>(spare);
      const t1 = load<f32>(spare + PANEL_ROW);
      const t2 = load<f32>(spare + PANEL_ROW * 2);
      const t3 = load<f32>(spare + PANEL_ROW * 3);
      const t4 = ROWS > 4 ? load<f32>(spare + PANEL_ROW * 4) : <f32>1;
      const t5 = ROWS > 5 ? load<f32>(spare + PANEL_ROW * 5) : <f32>1;
      for (let j: usize = 0; j < valueWidth; j += COLUMNS) {
        const panel = packedValues + ((j * keys) << 2);
        tile(scores, lds, panel, PANEL_ROW, keys, spare, PANEL_ROW, rows, false);
        for (let r: usize = 0; r < rows; r++) {
          const total = r === 0 ? t0 : r === 1 ? t1 : r === 2 ? t2 : r === 3 ? t3 : r === 4 ? t4 : t5;
          divided(spare + r * PANEL_ROW, total, ofOut + (i + r) * ldv + (j << 2), min(COLUMNS, valueWidth - j));
        }
      }
    }
  }
}

/** Turns a row of scores into exponentials of what they are above... the largest is 1; returns their sum. */
function softmaxRow(row: usize, keys: usize, scale: f32, bias: usize): f32 {
  const length = keys << 2;
  const padded = whole(keys) << 2;
  for (let j = length; j < padded; j += 4) store<f32>(row + j, -Infinity);
  const factor = f32x4.splat(scale);
  let most = f32x4.splat(-Infinity);
  if (bias) {
    let j: usize = 0;
    for (; j + 16 <= length; j += 16) {
      const x = madd(v128.load(row + j), factor, v128.load(bias + j));
      v128.store(row + j, x);
      most = f32x4.max(most, x);
    }
    for (; j < length; j += 4) {
      const x = madd(v128.load32_splat(row + j), factor, v128.load32_splat(bias + j));
      store<f32>(row + j, f32x4.extract_lane(x, 0));
      most = f32x4.max(most, x);
    }
  } else {
    for (let j: usize = 0; j < padded; j += 16) {
      const x = f32x4.mul(v128.load(row + j), factor);
      v128.store(row + j, x);
      most = f32x4.max(most, x);
    }
  }
  const top = f32x4.splat(laneMax(most));
  let total = f32x4.splat(0);
  for (let j: usize = 0; j < padded; j += 16) {
    const x = exp4(f32x4.sub(v128.load(row + j), top));
    v128.store(row + j, x);
    total = f32x4.add(total, x);
  }
  return laneSum(total);
}

function divided(from: usize, by: f32, to: usize, count: usize): void {
  if (count === COLUMNS) {
    const factor = f32x4.splat(1 / by);
    v128.store(to, f32x4.mul(v128.load(from), factor));
    v128.store(to, f32x4.mul(v128.load(from, 16), factor), 16);
    return;
  }
  const factor: f32 = 1 / by;
  for (let j: usize = 0; j < count << 2; j += 4) store<f32>(to + j, load<f32>(from + j) * factor);
}
