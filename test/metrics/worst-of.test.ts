import { worstOf, worstOfDifference } from '../../src/metrics/worst-of';
import { torchGenerator } from '../../src/random/torch-generator';

/** All ways to choose `count` of `values`. */
function choices(values: readonly number[], count: number): number[][] {
  if (count === 0) return [[]];
  return values.flatMap((value, i) => choices(values.slice(i + 1), count - 1).map(rest => [value, ...rest]));
}

test('the worst of n is the mean minimum over all choices of n values', () => {
  const values = [7, 1, 4, 4, 12, -3, 9];
  for (const count of [1, 2, 3, 6, 7]) {
    const minima = choices(values, count).map(chosen => Math.min(...chosen));
    expect(worstOf(values, count)).toBeCloseTo(minima.reduce((a, b) => a + b, 0) / minima.length, 10);
  }
});

test('of no more values than are drawn it is their minimum', () => {
  expect([worstOf([5, 3, 8], 3), worstOf([5, 3, 8], 32), worstOf([5], 32)]).toEqual([3, 3, 5]);
  expect(() => worstOf([], 32)).toThrow('The worst of no values is not defined.');
});

describe('the difference of two methods', () => {
  const random = torchGenerator(1);
  const base = [...random.normal(200)].map(v => 40 + 5 * v);
  const better = base.map((v, i) => v + 2 + 0.1 * Math.sin(i));

  test('has an interval around it', () => {
    const { count, mean, low, high, standardError } = worstOfDifference(better, base, 32)!;
    expect([count, mean]).toEqual([200, worstOf(better, 32) - worstOf(base, 32)]);
    // Both were drawn with the same pictures, so that what they share drops out.
    expect(low).toBeGreaterThan(1.8);
    expect(high).toBeLessThan(2.2);
    expect(low).toBeLessThan(mean);
    expect(high).toBeGreaterThan(mean);
    expect(standardError).toBeGreaterThan(0);
  });

  test('is the same at every call, and turns with its sides', () => {
    const one = worstOfDifference(better, base, 32)!;
    expect(worstOfDifference(better, base, 32)).toEqual(one);
    const other = worstOfDifference(base, better, 32)!;
    expect(other.mean).toBeCloseTo(-one.mean, 12);
    expect(Math.abs(other.low + one.high)).toBeLessThan(0.01);
  });

  test('is wide where one picture decides', () => {
    const lucky = base.map((v, i) => (i === 0 ? 5 : v));
    const { low, high } = worstOfDifference(lucky, base, 32)!;
    expect(high - low).toBeGreaterThan(5);
    expect(high).toBeGreaterThanOrEqual(0);
  });

  test('is not told of a few pictures, and refused for unequal numbers', () => {
    expect(worstOfDifference(better.slice(0, 127), base.slice(0, 127), 32)).toBeUndefined();
    expect(() => worstOfDifference([1, 2], [1], 32)).toThrow('2 values cannot be paired with 1.');
  });
});
