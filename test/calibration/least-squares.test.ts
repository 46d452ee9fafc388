import fc from 'fast-check';
import {
  affineFit,
  fitDecibels,
  type Moments,
  momentsOf,
  rememberedProducts,
  ridgeRegression,
} from '../../src/calibration/least-squares';
import { median } from '../../src/metrics/statistics';

const number = fc.double({ min: -5, max: 5, noNaN: true });
/** Independent columns of made-up numbers. */
const columns = (count: number, length: number): number[][] =>
  Array.from({ length: count }, (_, c) => Array.from({ length }, (_, n) => Math.sin((c + 1) * 12.9898 * (n + 1))));

/** The moments of a single run. */
const momentsOfRun = (xs: readonly number[][], target: number[]): Moments =>
  momentsOf(
    xs.map(x => [x]),
    [target],
  )[0]!;

describe('ridge regression', () => {
  test('recovers the weights that the target was made with', () => {
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 6 }), weights => {
        const xs = columns(weights.length, 80);
        const target = xs[0]!.map((_, n) => weights.reduce((sum, w, c) => sum + w * xs[c]![n]!, 0));
        // In parts, as calibration has one for every run.
        const part = (from: number, to: number): Moments =>
          momentsOfRun(
            xs.map(x => x.slice(from, to)),
            target.slice(from, to),
          );
        const fitted = ridgeRegression([part(0, 30), part(30, 80)], 0);
        for (const [c, w] of fitted.entries()) expect(w).toBeCloseTo(weights[c]!, 9);
      }),
    );
  });

  test('counts a run so many times as if it had been there so often', () => {
    const [xs, other] = [columns(2, 40), columns(3, 40)[2]!];
    const one = momentsOfRun(
      xs,
      xs[0]!.map((x, n) => 2 * x - xs[1]![n]!),
    );
    const two = momentsOfRun(xs, other);
    const expected = ridgeRegression([one, two, two, two], 1e-3);
    for (const [c, w] of ridgeRegression([one, two], 1e-3, [1, 3]).entries()) expect(w).toBeCloseTo(expected[c]!, 12);
  });

  test('sums each product once, to the same digits in any order of the columns', () => {
    const [a, b, c, target, other] = columns(5, 70).map(x => [x.slice(0, 30), x.slice(30)]) as [
      ...[number[][], number[][], number[][], number[][], number[][]],
    ];
    const products = rememberedProducts();
    for (const [some, to] of [[[a, b, c], target] as const, [[c, a], target] as const, [[b, c, a], other] as const]) {
      const each = [0, 1].map(run =>
        momentsOfRun(
          some.map(x => x[run]!),
          to[run]!,
        ),
      );
      expect(momentsOf(some, to, products)).toEqual(each);
    }
    // What is remembered is not read again.
    a[0]!.fill(0);
    expect(momentsOf([a, b], target, products)).not.toEqual(momentsOf([a, b], target));
  });

  test('shares a weight between equal columns instead of failing, thanks to the ridge', () => {
    const [x] = columns(1, 50) as [number[]];
    const tripled = momentsOfRun(
      [x, x],
      x.map(v => 3 * v),
    );
    const [a, b] = ridgeRegression([tripled], 1e-6) as [number, number];
    expect(a).toBeCloseTo(1.5, 4);
    expect(b).toBeCloseTo(1.5, 4);
  });

  test('gives weights of zero to columns of zeros, also for a target of zeros', () => {
    const nothing = momentsOfRun(
      [
        [0, 0, 0],
        [1, 2, 3],
      ],
      [0, 0, 0],
    );
    expect(ridgeRegression([nothing], 1e-5).map(Math.abs)).toEqual([0, 0]);
    expect(fitDecibels([nothing, nothing], 1e-5).map(Math.abs)).toEqual([0, 0]);
  });

  test('gives no longer weights with a stronger ridge', () => {
    const xs = columns(3, 40);
    const run = momentsOfRun(
      xs,
      xs[0]!.map((_, n) => xs[0]![n]! - 2 * xs[1]![n]! + 0.3 * Math.cos(n)),
    );
    const lengths = [0, 1e-4, 1e-2, 1, 100].map(ridge => Math.hypot(...ridgeRegression([run], ridge)));
    for (const [i, l] of lengths.entries()) if (i > 0) expect(l).toBeLessThan(lengths[i - 1]!);
  });
});

describe('fit in decibels', () => {
  const x = columns(3, 60);
  /** A run of three samples a column in which `slope` is right but for an error of the given size. */
  const run = (slope: number, error: number): Moments =>
    momentsOfRun(
      [x[0]!, x[1]!],
      x[0]!.map((v, n) => slope * v + error * x[2]![n]!),
    );

  test('is the sum of logarithms: no weights nearby have a smaller one', () => {
    const runs = [run(1, 0.1), run(1.05, 0.02), run(0.9, 0.4), run(1.02, 0.05), run(0.97, 0.2)];
    const fitted = fitDecibels(runs, 0) as [number, number];
    const errors = ([a, b]: readonly [number, number]): number[] =>
      runs.map(({ gram, moment, square }) => {
        const product = a * a * gram.get(0, 0) + 2 * a * b * gram.get(0, 1) + b * b * gram.get(1, 1);
        return square - 2 * (a * moment.get(0, 0) + b * moment.get(1, 0)) + product;
      });
    const usual = median(errors(fitted));
    const sum = (weights: readonly [number, number]): number =>
      errors(weights).reduce((total, e) => total + Math.log(usual + e), 0);
    for (const da of [-0.01, 0, 0.01]) {
      for (const db of [-0.01, 0, 0.01]) {
        if (da !== 0 || db !== 0) expect(sum(fitted)).toBeLessThan(sum([fitted[0] + da, fitted[1] + db]));
      }
    }
    // Plain least squares is another point.
    const plain = ridgeRegression(runs, 0) as [number, number];
    expect(Math.hypot(plain[0] - fitted[0], plain[1] - fitted[1])).toBeGreaterThan(0.02);
  });

  test('does not depend on one run that went elsewhere', () => {
    const runs = [run(1, 0.1), run(1.01, 0.1), run(0.99, 0.1), run(1, 0.12)];
    const alone = fitDecibels(runs, 1e-6)[0]!;
    const astray = run(-40, 3);
    expect(ridgeRegression([...runs, astray], 1e-6)[0]).toBeLessThan(0);
    expect(fitDecibels([...runs, astray], 1e-6)[0]).toBeCloseTo(alone, 2);
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
