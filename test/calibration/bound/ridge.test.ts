import { ridge } from '../../../src/calibration/bound/ridge';
import { torchGenerator } from '../../../src/random/torch-generator';

/** `count` rows of `width` normal values. */
function normalRows(count: number, width: number, seed: number): number[][] {
  const values = torchGenerator(seed).normal([count, width]);
  return Array.from({ length: count }, (_, row) => [...values.subarray(row * width, (row + 1) * width)]);
}

describe('ridge regression', () => {
  test('finds the weights of a linear value, and leaves out columns that do not vary', () => {
    const rows = normalRows(200, 3, 1).map(row => [...row, 7]);
    const values = rows.map(([a, b]) => 40 + 3 * (a as number) - 0.5 * (b as number));
    const { base, weights, errors } = ridge(rows, values);
    expect(base).toBeCloseTo(40, 1);
    expect(weights[0]).toBeCloseTo(3, 1);
    expect(weights[1]).toBeCloseTo(-0.5, 1);
    expect(weights[2]).toBeCloseTo(0, 1);
    expect(weights[3]).toBe(0);
    expect(errors.left).toBeLessThan(0.001 * errors.before);
  });

  test('says what is left when each row is predicted from all others', () => {
    const rows = normalRows(24, 2, 2);
    const noise = normalRows(24, 1, 3);
    const values = rows.map(([a], i) => 2 * (a as number) + (noise[i]?.[0] as number));
    const { errors } = ridge(rows, values);
    const left = rows.map((row, out) => {
      const rest = (_: unknown, i: number): boolean => i !== out;
      const { base, weights } = ridge(rows.filter(rest), values.filter(rest));
      const predicted = base + weights.reduce((sum, w, c) => sum + w * (row[c] as number), 0);
      return (predicted - (values[out] as number)) ** 2;
    });
    // Nearly: scale, centre and penalty are those of all rows.
    expect(errors.left / (left.reduce((a, b) => a + b) / left.length)).toBeCloseTo(1, 1);
  });

  test('has no weights where nothing tells anything', () => {
    const { base, weights } = ridge([[1], [1], [1]], [1, 2, 6]);
    expect([base, weights]).toEqual([3, [0]]);
  });
});
