/** Work on rows whose width is a multiple of four: norms, rotations, gates, activations; of the rows, `part` of `parts`. */
import { activate4, laneSum, madd } from './numbers';
import { share } from './share';

/** `1 / √(mean of squares + ε)`. */
@inline
function reciprocalLength(x: usize, bytes: usize, width: usize, eps: f32): f32 {
  let sum = f32x4.splat(0);
  for (let j: usize = 0; j < bytes; j += 16) {
    const v = v128.load(x + j);
    sum = madd(v, v, sum);
  }
  return 1 / sqrt<f32>(laneSum(sum) / <f32>width + eps);
}

/**
 * `(x - mean) / √(variance + ε)`, times `weight`, plus `bias`, then `· (1 + scale) + shift`; each of the four or 0.
 * @param ofGroup rows that share one row of `scale` and `shift`
 */
export function layerNorm(
  x: usize,
  out: usize,
  rows: usize,
  width: usize,
  eps: f32,
  weight: usize,
  bias: usize,
  scale: usize,
  shift: usize,
  ofGroup: usize,
  part: usize,
  parts: usize,
): void {
  const bytes = width << 2;
  const one = f32x4.splat(1);
  const first = share(rows, part, parts);
  const last = share(rows, part + 1, parts);
  x += first * bytes;
  out += first * bytes;
  for (let i = first; i < last; i++) {
    let sum = f32x4.splat(0);
    for (let j: usize = 0; j < bytes; j += 16) sum = f32x4.add(sum, v128.load(x + j));
    const mean = f32x4.splat(laneSum(sum) / <f32>width);
    sum = f32x4.splat(0);
    for (let j: usize = 0; j < bytes; j += 16) {
      const v = f32x4.sub(v128.load(x + j), mean);
      sum = madd(v, v, sum);
    }
    const by = f32x4.splat(1 / sqrt<f32>(laneSum(sum) / <f32>width + eps));
    const group = scale ? (i / ofGroup) * bytes : 0;
    for (let j: usize = 0; j < bytes; j += 16) {
      let v = f32x4.mul(f32x4.sub(v128.load(x + j), mean), by);
      if (weight) v = f32x4.mul(v, v128.load(weight + j));
      if (bias) v = f32x4.add(v, v128.load(bias + j));
      if (scale) v = madd(v, f32x4.add(v128.load(scale + group + j), one), v128.load(shift + group + j));
      v128.store(out + j, v);
    }
    x += bytes;
    out += bytes;
  }
}

/** `x / √(mean of squares + ε) · weight`. */
export function rmsNorm(
  x: usize,
  out: usize,
  rows: usize,
  width: usize,
  eps: f32,
  weight: usize,
  part: usize,
  parts: usize,
): void {
  const bytes = width << 2;
  const first = share(rows, part, parts);
  const last = share(rows, part + 1, parts);
  x += first * bytes;
  out += first * bytes;
  for (let i = first; i < last; i++) {
    const by = f32x4.splat(reciprocalLength(x, bytes, width, eps));
    for (let j: usize = 0; j < bytes; j += 16) {
      v128.store(out + j, f32x4.mul(f32x4.mul(v128.load(x + j), by), v128.load(weight + j)));
    }
    x += bytes;
    out += bytes;
  }
}

/**
 * Turns pairs of channels by their token's angles, after an RMS norm with `weight` where it is not 0.
 * @param x `[rows / heads, heads, width]`
 * @param cos and `sin` `[tokens, width]`; rows / heads is a multiple of tokens
 * @param halves whether a pair lies in both halves, else side by side
 * @param factor what everything is multiplied by
 */
export function rotate(
  x: usize,
  out: usize,
  rows: usize,
  heads: usize,
  width: usize,
  tokens: usize,
  cos: usize,
  sin: usize,
  halves: bool,
  weight: usize,
  eps: f32,
  factor: f32,
  part: usize,
  parts: usize,
): void {
  const bytes = width << 2;
  const half = bytes >> 1;
  const signs = f32x4(-1, 1, -1, 1);
  const first = share(rows, part, parts);
  const last = share(rows, part + 1, parts);
  x += first * bytes;
  out += first * bytes;
  for (let i = first; i < last; i++) {
    const table = ((i / heads) % tokens) * bytes;
    const c = cos + table;
    const s = sin + table;
    const by = f32x4.splat(weight ? factor * reciprocalLength(x, bytes, width, eps) : factor);
    if (halves) {
      for (let j: usize = 0; j < half; j += 16) {
        let u = f32x4.mul(v128.load(x + j), by);
        let w = f32x4.mul(v128.load(x + half + j), by);
        if (weight) {
          u = f32x4.mul(u, v128.load(weight + j));
          w = f32x4.mul(w, v128.load(weight + half + j));
        }
        v128.store(out + j, madd(f32x4.neg(w), v128.load(s + j), f32x4.mul(u, v128.load(c + j))));
        v128.store(out + half + j, madd(u, v128.load(s + half + j), f32x4.mul(w, v128.load(c + half + j))));
      }
    } else {
      for (let j: usize = 0; j < bytes; j += 16) {
        let u = f32x4.mul(v128.load(x + j), by);
        if (weight) u = f32x4.mul(u, v128.load(weight + j));
        const turned = f32x4.mul(i32x4.shuffle(u, u, 1, 0, 3, 2), signs);
        v128.store(out + j, madd(turned, v128.load(s + j), f32x4.mul(u, v128.load(c + j))));
      }
    }
    x += bytes;
    out += bytes;
  }
}

/** `a + gate · b`; `ofGroup` rows share one row of `gate`. */
export function gated(
  a: usize,
  gate: usize,
  b: usize,
  out: usize,
  rows: usize,
  width: usize,
  ofGroup: usize,
  part: usize,
  parts: usize,
): void {
  const bytes = width << 2;
  const first = share(rows, part, parts);
  const last = share(rows, part + 1, parts);
  a += first * bytes;
  b += first * bytes;
  out += first * bytes;
  for (let i = first; i < last; i++) {
    const g = gate + (i / ofGroup) * bytes;
    for (let j: usize = 0; j < bytes; j += 16) {
      v128.store(out + j, madd(v128.load(g + j), v128.load(b + j), v128.load(a + j)));
    }
    a += bytes;
    b += bytes;
    out += bytes;
  }
}

/** An activation by itself; `size` is a multiple of four. */
export function activate(x: usize, out: usize, size: usize, kind: i32, part: usize, parts: usize): void {
  const first = share(size >> 2, part, parts) << 4;
  const last = share(size >> 2, part + 1, parts) << 4;
  for (let j = first; j < last; j += 16) v128.store(out + j, activate4(v128.load(x + j), kind));
}
