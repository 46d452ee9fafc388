import { mean, meanInterval, pairedDifference, standardDeviation, standardError } from '../../src/metrics';
import { median } from '../../src/metrics/statistics';
import { centralProbability, studentT } from '../../src/metrics/student-t';

// From SciPy: scipy.stats.t.ppf((1 + confidence) / 2, freedom).
test.each([
  [0.95, 1, 12.7062047361747],
  [0.95, 2, 4.30265272974946],
  [0.95, 3, 3.18244630528371],
  [0.95, 7, 2.36462425159278],
  [0.95, 23, 2.06865761041905],
  [0.95, 31, 2.03951344639641],
  [0.99, 10, 3.16927267261695],
  [0.5, 4, 0.740697084112683],
  [0.95, 1000, 1.96233908082641],
  [0.999, 1, 636.61924876879],
])('t quantile at %d with %d degrees of freedom', (confidence, freedom, expected) => {
  expect(studentT(confidence, freedom) / expected).toBeCloseTo(1, 10);
  expect(centralProbability(expected, freedom)).toBeCloseTo(confidence, 10);
});

test('mean, deviation and error of a small sample', () => {
  const values = [2, 4, 4, 4, 5, 5, 7, 9];
  expect(mean(values)).toBe(5);
  expect(standardDeviation(values)).toBeCloseTo(Math.sqrt(32 / 7), 12);
  expect(standardError(values)).toBeCloseTo(Math.sqrt(32 / 7 / 8), 12);
  expect(() => mean([])).toThrow('The mean of no values is not defined.');
});

test('the interval of a paired difference is the one of SciPy', () => {
  const a = [30.1, 28.4, 33.2, 31.7, 29.9];
  const b = [28.0, 27.5, 30.1, 30.9, 27.2];
  // scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
  const interval = pairedDifference(a, b);
  expect(interval.mean).toBeCloseTo(1.92, 12);
  expect(interval.low).toBeCloseTo(0.628430682402583, 10);
  expect(interval.high).toBeCloseTo(3.21156931759742, 10);
  expect(() => pairedDifference([1], [])).toThrow('1 values cannot be paired with 0.');
});

test('of a single value nothing is known but itself', () => {
  expect(meanInterval([3])).toMatchObject({
    count: 1,
    mean: 3,
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  });
});

test('the median of an even number of values is between the two in the middle', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
});
