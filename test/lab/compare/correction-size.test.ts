import { correctionSize } from '../../../src/lab/report/policy-text';

describe('how large a correction is', () => {
  test('a combination that only repeats guidance changes nothing', () => {
    expect(correctionSize({ 'conditional.0': 3, 'unconditional.0': -2 })).toBeCloseTo(0, 12);
    expect(correctionSize({ 'output.1': 1, 'output.2': 0 })).toBeCloseTo(0, 12);
  });

  test('what it adds of other outputs, and what it takes from the rebuilt one, both count', () => {
    expect(correctionSize({ 'output.0': 0.75, 'output.1': -0.25, sample: 0.5 })).toBeCloseTo(1, 12);
  });

  test('of coefficients by channel the largest counts', () => {
    expect(correctionSize({ K: [0, 0.4], B: [-2, -2] })).toBeCloseTo(0.1, 12);
  });
});
