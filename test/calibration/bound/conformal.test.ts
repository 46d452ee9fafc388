import { reachedBy } from '../../../src/calibration/bound/conformal';
import { torchGenerator } from '../../../src/random/torch-generator';

describe('what a further value reaches', () => {
  test('is the k-th smallest of n, by k of n + 1 places', () => {
    const values = Array.from({ length: 19 }, (_, i) => 19 - i);
    expect(reachedBy(values, [0.5, 0.8, 0.9, 0.95, 0.99])).toEqual([
      { confidence: 0.5, dB: 10 },
      { confidence: 0.8, dB: 4 },
      { confidence: 0.9, dB: 2 },
      { confidence: 0.95, dB: 1 },
    ]);
    // 0.1 · 10 is a little less than 1 in floating point.
    expect(reachedBy(values.slice(0, 9), [0.9])).toEqual([{ confidence: 0.9, dB: 11 }]);
    expect(reachedBy(values.slice(0, 8), [0.9])).toEqual([]);
  });

  test('is reached by that share of fresh values', () => {
    const random = torchGenerator(1);
    let held = 0;
    const rounds = 2000;
    for (let round = 0; round < rounds; round++) {
      const values = Array.from({ length: 30 }, () => random.uniformDouble() ** 2);
      const [bound] = reachedBy(values, [0.9]);
      if (random.uniformDouble() ** 2 >= (bound?.dB as number)) held++;
    }
    // 28 of 31 places are above the third smallest; three standard errors.
    expect(Math.abs(held / rounds - 28 / 31)).toBeLessThan(0.02);
  });
});
