import fc from 'fast-check';
import { affineFit, normalEquations } from '../../src/calibration/least-squares';

const number = fc.double({ min: -5, max: 5, noNaN: true });
/** Independent columns of made-up numbers. */
const columns = (count: number, length: number): number[][] =>
  Array.from({ length: count }, (_, c) => Array.from({ length }, (_, n) => Math.sin((c + 1) * 12.9898 * (n + 1))));

describe('normal equations', () => {
  test('recover the weights that the target was made with', () => {
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 6 }), weights => {
        const xs = columns(weights.length, 80);
        const target = xs[0]!.map((_, n) => weights.reduce((sum, w, c) => sum + w * xs[c]![n]!, 0));
        const equations = normalEquations(weights.length);
        // In parts, as calibration adds one job after the other.
        for (const [from, to] of [
          [0, 30],
          [30, 80],
        ] as const) {
          equations.add(
            xs.map(x => x.slice(from, to)),
            target.slice(from, to),
          );
        }
        for (const [c, w] of equations.solve(0).entries()) expect(w).toBeCloseTo(weights[c]!, 9);
      }),
    );
  });

  test('count a sample by its weight as if it had been added so many times', () => {
    const [xs, other] = [columns(2, 40), columns(3, 40)[2]!];
    const target = xs[0]!.map((x, n) => 2 * x - xs[1]![n]!);
    const [weighted, repeated] = [normalEquations(2), normalEquations(2)];
    weighted.add(xs, target);
    weighted.add(xs, other, 3);
    repeated.add(xs, target);
    for (let i = 0; i < 3; i++) repeated.add(xs, other);
    const expected = repeated.solve(1e-3);
    for (const [c, w] of weighted.solve(1e-3).entries()) expect(w).toBeCloseTo(expected[c]!, 12);
  });

  test('share a weight between equal columns instead of failing, thanks to the ridge', () => {
    const [x] = columns(1, 50) as [number[]];
    const equations = normalEquations(2);
    equations.add(
      [x, x],
      x.map(v => 3 * v),
    );
    const [a, b] = equations.solve(1e-6) as [number, number];
    expect(a).toBeCloseTo(1.5, 4);
    expect(b).toBeCloseTo(1.5, 4);
  });

  test('give weights of zero to columns of zeros, also for a target of zeros', () => {
    const equations = normalEquations(2);
    equations.add(
      [
        [0, 0, 0],
        [1, 2, 3],
      ],
      [0, 0, 0],
    );
    expect(equations.solve(1e-5).map(Math.abs)).toEqual([0, 0]);
  });

  test('a stronger ridge never makes the weights longer', () => {
    const xs = columns(3, 40);
    const target = xs[0]!.map((_, n) => xs[0]![n]! - 2 * xs[1]![n]! + 0.3 * Math.cos(n));
    const length = (ridge: number): number => {
      const equations = normalEquations(3);
      equations.add(xs, target);
      return Math.hypot(...equations.solve(ridge));
    };
    const lengths = [0, 1e-4, 1e-2, 1, 100].map(length);
    for (const [i, l] of lengths.entries()) if (i > 0) expect(l).toBeLessThan(lengths[i - 1]!);
  });
});

/** K and B as the method writes them, with sums over all values at once. */
function textbook(outputs: readonly number[], errors: readonly number[]): { K: number; B: number } {
  const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
  const [v, e] = [mean(outputs), mean(errors)];
  const variance = mean(outputs.map(x => (x - v) ** 2));
  const covariance = mean(outputs.map((x, i) => (x - v) * (errors[i]! - e)));
  const K = (4 * covariance) / variance;
  return { K, B: 4 * (e - 0.5) - K * v };
}

describe('the affine fit', () => {
  test('is 4 Cov/Var and 4 (mean ε - ½) - K mean ṽ', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(number, number), { minLength: 2, maxLength: 60 }), pairs => {
        const outputs = pairs.map(([v]) => v);
        fc.pre(Math.max(...outputs) - Math.min(...outputs) > 0.5);
        const fit = affineFit(1);
        for (const [v, e] of pairs) fit.add(0, v, e);
        const { K, B } = textbook(
          outputs,
          pairs.map(([, e]) => e),
        );
        const { K: ks, B: bs } = fit.solve();
        // The fit is stored in float32: 24 bits of numbers up to 100.
        expect(ks[0]).toBeCloseTo(K, 4);
        expect(bs[0]).toBeCloseTo(B, 4);
      }),
    );
  });

  test('does not lose a small variance beside a large mean', () => {
    const fit = affineFit(1);
    for (let i = 0; i < 100; i++) fit.add(0, 1e6 + (i % 2 ? 1e-3 : -1e-3), i % 2 ? 1e-4 : -1e-4);
    expect(fit.solve().K[0]).toBeCloseTo(0.4, 4);
  });

  test('gives K = 0, and never NaN, where the outputs do not vary', () => {
    for (const count of [1, 5]) {
      const fit = affineFit(1);
      for (let i = 0; i < count; i++) fit.add(0, 3, 0.25);
      expect(fit.solve()).toEqual({ K: [0], B: [-1] });
    }
  });

  test('fits every channel on its own values', () => {
    const fit = affineFit(2);
    for (const v of [-1, 0, 2]) {
      fit.add(0, v, 0.5 * v);
      fit.add(1, v, -0.25 * v + 0.5);
    }
    const { K, B } = fit.solve();
    expect(K[0]).toBeCloseTo(2, 5);
    expect(K[1]).toBeCloseTo(-1, 5);
    expect(B[0]).toBeCloseTo(-2, 5);
    expect(B[1]).toBeCloseTo(0, 5);
  });

  test('gives numbers that float32 holds exactly, so that a policy read back is the one that was fitted', () => {
    const fit = affineFit(1);
    for (const v of [0.1, 0.7, -0.3]) fit.add(0, v, v / 7 + 0.01);
    const { K, B } = fit.solve();
    expect([...K, ...B].map(Math.fround)).toEqual([...K, ...B]);
  });
});
