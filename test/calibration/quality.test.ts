import { ceilingAt, qualityOf } from '../../src/calibration/quality';

/** The mean squared error of a latent at so many dB; latents reach from -1 to 1. */
const errorAt = (decibels: number): number => 4 / 10 ** (decibels / 10);
/** Runs of which one in eight is 30 dB worse. */
const runs = (count: number): number[] => Array.from({ length: count }, (_, i) => errorAt(i % 8 === 0 ? 30 : 60));

describe('the quality of calibration runs', () => {
  const mean = (7 * 60 + 30) / 8;

  test('is their mean in dB where the worst eighth is a few runs', () => {
    for (const count of [8, 16, 32]) expect(qualityOf(runs(count))).toBeCloseTo(mean, 10);
  });

  test('counts the worst eighth once from 96 runs on, and more with every run between', () => {
    for (const count of [96, 192]) expect(qualityOf(runs(count))).toBeCloseTo((mean + 30) / 2, 10);
    // Half way, half as often.
    expect(qualityOf(runs(64))).toBeCloseTo((mean + 0.5 * 30) / 1.5, 10);
  });

  test('counts the worst eighth as often as it is told to, none at all included', () => {
    expect(qualityOf(runs(96), 0)).toBeCloseTo(mean, 10);
    expect(qualityOf(runs(96), 1)).toBeCloseTo((mean + 30) / 2, 10);
    expect(qualityOf(runs(16), 5)).toBeCloseTo(mean, 10);
  });

  test('is not raised by differences that nobody can see', () => {
    expect(qualityOf([errorAt(95), errorAt(40)])).toBeCloseTo(60, 10);
    expect(qualityOf([0, errorAt(40)])).toBeCloseTo(60, 10);
  });

  test('tells apart what is good enough where more than half of the steps are computed', () => {
    const [half, more] = [ceilingAt(15, 30), ceilingAt(16, 30)];
    expect(qualityOf([errorAt(95), errorAt(40)], 0, half)).toBeCloseTo(60, 10);
    expect(qualityOf([errorAt(95), errorAt(40)], 0, more)).toBeCloseTo(67.5, 10);
  });
});
