import { quantile, quantileInterval } from '../../src/metrics/quantile';
import { shareInterval } from '../../src/metrics/share';
import { torchGenerator } from '../../src/random/torch-generator';

const normal = (count: number, seed: number): number[] => [...torchGenerator(seed).normal(count)];

test('a quantile lies straight between the two nearest values', () => {
  expect([quantile([4, 1, 3, 2], 0), quantile([4, 1, 3, 2], 0.5), quantile([4, 1, 3, 2], 1)]).toEqual([1, 2.5, 4]);
  expect(quantile([10, 20], 0.1)).toBeCloseTo(11);
  expect(quantile([7], 0.1)).toBe(7);
  expect(() => quantile([], 0.1)).toThrow('A quantile of no values is not defined.');
});

test('the interval of a quantile covers it about as often as it says', () => {
  const truth = -1.2816;
  const covering = Array.from({ length: 100 }, (_, i) => quantileInterval(normal(200, i), 0.1, 0.9)).filter(
    ({ low, high }) => low <= truth && truth <= high,
  );
  expect(covering.length).toBeGreaterThan(80);
  expect(covering.length).toBeLessThan(98);
  const values = normal(50, 1);
  expect(quantileInterval(values, 0.1)).toMatchObject({ count: 50, mean: quantile(values, 0.1) });
  expect(quantileInterval([3], 0.1)).toMatchObject({ mean: 3, low: -Infinity, high: Infinity });
});

test('the interval of a share does not vanish where nothing was seen', () => {
  const none = shareInterval(Array<boolean>(100).fill(false));
  expect([none.mean, none.low]).toEqual([0, 0]);
  expect(none.high).toBeCloseTo(0.037, 3);
  const all = shareInterval(Array<boolean>(100).fill(true));
  expect([all.mean, all.high]).toEqual([1, 1]);
  expect(all.low).toBeCloseTo(1 - none.high, 10);
  // Brown, Cai, DasGupta (2001): Wilson's interval of 5 in 20.
  const some = shareInterval(Array.from({ length: 20 }, (_, i) => i < 5));
  expect([some.mean, some.low, some.high].map(v => v.toFixed(3))).toEqual(['0.250', '0.112', '0.469']);
  expect(() => shareInterval([])).toThrow('A share of no values is not defined.');
});
