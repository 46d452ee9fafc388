/** Arithmetic on four float32 at a time, in the one order that every build of its level keeps. */

/** `a · b + c`: rounded once where the build has relaxed SIMD and the processor fuses, twice in the plain build. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Sum of the four lanes. */
@inline
export function laneSum(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** The largest of the four lanes; NaN if one is. */
@inline
export function laneMax(x: v128): f32 {
  return max<f32>(
    max<f32>(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1)),
    max<f32>(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3)),
  );
}

/**
 * eˣ to within two units of the last digit: 2ⁿ by the exponent's bits, the rest by a polynomial (Cephes' coefficients).
 * Below -87.3, where float32 has no normal numbers, it is 0; NaN stays NaN.
 */
@inline
export function exp4(given: v128): v128 {
  const x = f32x4.min(f32x4.max(given, f32x4.splat(-87.3)), f32x4.splat(88.3));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.44269504)));
  const r = madd(n, f32x4.splat(2.12194440e-4), madd(n, f32x4.splat(-0.693359375), x));
  let p = f32x4.splat(1.9875691500e-4);
  p = madd(p, r, f32x4.splat(1.3981999507e-3));
  p = madd(p, r, f32x4.splat(8.3334519073e-3));
  p = madd(p, r, f32x4.splat(4.1665795894e-2));
  p = madd(p, r, f32x4.splat(1.6666665459e-1));
  p = madd(p, r, f32x4.splat(5.0000001201e-1));
  p = f32x4.add(madd(p, f32x4.mul(r, r), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  const result = f32x4.mul(p, power);
  return v128.andnot(result, f32x4.lt(given, f32x4.splat(-87.3)));
}

/** `1 / (1 + e⁻ˣ)`. */
@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), exp4(f32x4.neg(x))));
}

/** `½ x (1 + tanh u)`, which is `x · σ(2u)`. */
@inline
export function geluTanh4(x: v128): v128 {
  const cubic = madd(f32x4.mul(f32x4.mul(x, x), x), f32x4.splat(0.044715), x);
  return f32x4.mul(x, sigmoid4(f32x4.mul(cubic, f32x4.splat(1.5957691216))));
}

/** What follows a product: 0 nothing, 1 SiLU, 2 GELU in its tanh form. */
@inline
export function activate4(x: v128, kind: i32): v128 {
  if (kind === 1) return f32x4.mul(x, sigmoid4(x));
  if (kind === 2) return geluTanh4(x);
  return x;
}
