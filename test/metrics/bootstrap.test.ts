import { bootstrapInterval } from '../../src/metrics/bootstrap';
import { meanInterval } from '../../src/metrics/statistics';
import { torchGenerator } from '../../src/random/torch-generator';

const draws = (count: number, seed: number): number[] => {
  const random = torchGenerator(seed);
  return Array.from({ length: count }, () => random.uniformDouble());
};

test('is near to the t-interval for many even values', () => {
  const values = draws(400, 1);
  const [own, students] = [bootstrapInterval(values), meanInterval(values)];
  expect(own).toMatchObject({ count: 400, mean: students.mean, standardError: students.standardError });
  expect(own.low).toBeCloseTo(students.low, 2);
  expect(own.high).toBeCloseTo(students.high, 2);
});

test('covers the true mean about as often as it says', () => {
  const covering = Array.from({ length: 200 }, (_, i) => bootstrapInterval(draws(30, i), 0.9)).filter(
    ({ low, high }) => low <= 0.5 && 0.5 <= high,
  );
  // 180 of 200, give or take what chance and thirty values allow.
  expect(covering.length).toBeGreaterThan(162);
  expect(covering.length).toBeLessThan(195);
});

test('does not leave the range of the values', () => {
  const values = [...Array(31).fill(0.9999), 0.2];
  expect(meanInterval(values).high).toBeGreaterThan(1);
  const { low, high } = bootstrapInterval(values);
  expect(low).toBeGreaterThanOrEqual(0.2);
  expect(high).toBeCloseTo(0.9999, 12);
});

test('says nothing about the spread of a single value, and the same each time', () => {
  expect(bootstrapInterval([3])).toMatchObject({ mean: 3, low: -Infinity, high: Infinity });
  expect(bootstrapInterval(draws(20, 2))).toEqual(bootstrapInterval(draws(20, 2)));
});
