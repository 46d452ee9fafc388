import { boundOf, type FidelityBound } from '../../../src/cache/bound';
import { fitBound, type Observation } from '../../../src/calibration/bound/fit-bound';
import { lookedAt } from '../../../src/calibration/bound/measure-bound';
import { torchGenerator } from '../../../src/random/torch-generator';

/** Pairs whose PSNR falls with the logarithm of a signal, and varies beside. */
function observations(count: number, seed: number): Observation[] {
  const random = torchGenerator(seed);
  return Array.from({ length: count }, () => {
    const change = Math.exp(-4 + 2 * random.uniformDouble());
    const psnr = 40 - 10 * (Math.log(change) + 3) + 6 * (random.uniformDouble() - 0.5);
    const signals = { correction: 0, change, gap: random.uniformDouble() };
    return { psnr, signals: new Map([[3, signals]]) };
  });
}

const holds = (bound: FidelityBound, seen: readonly Observation[]): number[] =>
  seen.map(({ signals }) => boundOf(bound, step => signals.get(step))?.psnr ?? Number.NaN);

describe('the bound of each picture', () => {
  const bound = { shape: [], ...fitBound(observations(400, 1)) };
  const fresh = observations(2000, 2);

  test('holds for its share of fresh pictures, and is nearer to them than what all reach', () => {
    const own = holds(bound, fresh);
    const held = own.filter((dB, i) => (fresh[i] as Observation).psnr >= dB).length / fresh.length;
    expect(held).toBeGreaterThan(0.86);
    expect(held).toBeLessThan(0.95);
    const all = bound.all.find(({ confidence }) => confidence === 0.9)?.dB as number;
    expect(own.reduce((a, b) => a + b) / own.length).toBeGreaterThan(all + 3);
  });

  test('asks only for signals that vary, in the range that was seen', () => {
    const terms = bound.each?.terms ?? [];
    expect(terms.map(({ signal }) => signal)).toContain('change');
    expect(terms.map(({ signal }) => signal)).not.toContain('correction');
    const at = (change: number) => boundOf(bound, () => ({ correction: 0, change, gap: 0.5 }))?.psnr;
    expect(at(1e9)).toBe(at(Math.exp(-2)));
    // A step that did not show them has no bound.
    expect(boundOf(bound, () => undefined)).toBeUndefined();
  });

  test('is left out where pairs are few, or nothing tells one from another', () => {
    expect(fitBound(observations(40, 1)).each).toBeUndefined();
    const random = torchGenerator(5);
    const dull = observations(200, 1).map(one => ({ ...one, psnr: 40 + random.uniformDouble() }));
    const { all, each } = fitBound(dull);
    expect(each).toBeUndefined();
    expect(boundOf({ shape: [], all }, () => undefined)?.psnr).toBeCloseTo(40.1, 0);
  });
});

test('few of the computed steps after the first reused one are looked at', () => {
  expect(lookedAt('###.#.#.#.#.#.##')).toEqual([4, 6, 8, 12, 14, 15]);
  expect(lookedAt('##..#.')).toEqual([4]);
  expect(lookedAt('####')).toEqual([]);
});
