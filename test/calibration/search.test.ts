import fc from 'fast-check';
import { reuseCost, shortestSchedule } from '../../src/calibration/search/shortest-path';
import { budgetsAtMost, calibrateToTarget } from '../../src/calibration/target';
import { PolicyError } from '../../src/errors';
import { computedSteps, type Fidelity } from '../../src/policy/data';
import type { Pipeline } from '../../src/sampling/pipeline';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

/** What a schedule costs when every stretch of reuse costs `cost(from, to)`. */
function total(reused: readonly boolean[], cost: (from: number, to: number) => number): number {
  const computed = [...reused.flatMap((r, i) => (r ? [] : [i])), reused.length];
  return computed.slice(1).reduce((sum, to, n) => sum + cost(computed[n]!, to), 0);
}

/** Every schedule of `steps` steps whose first is computed. */
function everySchedule(steps: number): boolean[][] {
  if (steps === 1) return [[false]];
  return everySchedule(steps - 1).flatMap(s => [
    [...s, false],
    [...s, true],
  ]);
}

describe('the shortest path over steps', () => {
  test('is the cheapest of all schedules with as many computed steps', () => {
    const table = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(table, fc.integer({ min: 1, max: 7 }), (costs, computed) => {
        const cost = (from: number, to: number): number => costs[from * 8 + to - 1]!;
        const found = shortestSchedule(7, computed, cost);
        expect(computedSteps(found)).toBe(computed);
        expect(found[0]).toBe(false);
        const best = Math.min(
          ...everySchedule(7)
            .filter(s => computedSteps(s) === computed)
            .map(s => total(s, cost)),
        );
        expect(total(found, cost)).toBeCloseTo(best, 10);
      }),
    );
  });

  test('weighs what is reused by the length of its step and, tilted, by how late it is', () => {
    const distances = [
      [0, 1, 2],
      [0, 0, 3],
      [0, 0, 0],
    ];
    const sigmas = [1, 0.8, 0.5, 0];
    // Steps 1 and 2 are reused from step 0: lengths 0.3 and 0.5.
    expect(reuseCost(distances, sigmas, { tilt: 0, power: 1 })(0, 3)).toBeCloseTo(1 * 0.3 + 2 * 0.5, 12);
    expect(reuseCost(distances, sigmas, { tilt: 2, power: 1 })(0, 3)).toBeCloseTo(
      (1 * 0.3) / 0.8 ** 2 + (2 * 0.5) / 0.5 ** 2,
      12,
    );
    expect(reuseCost(distances, sigmas, { tilt: 1, power: 1 })(1, 2)).toBe(0);
    // Squared, the larger distance counts four times as much.
    expect(reuseCost(distances, sigmas, { tilt: 0, power: 2 })(0, 3)).toBeCloseTo(1 * 0.3 + 4 * 0.5, 12);
  });
});

describeOnBackends('calibrating to a likeness', () => {
  let pipeline: Pipeline;
  beforeAll(() => {
    pipeline = toyPipeline();
  });
  afterAll(() => pipeline.dispose());
  const base = { pairs: [{ prompt: 'lion', seed: 1 }], steps: 6, guidance: 1, site: 'output', search: 'dp' } as const;

  test('takes the fewest computed steps that reach it, and tells of those that it tried', async () => {
    const tried = new Map<number, number>();
    const find = (least: number) =>
      calibrateToTarget(pipeline, {
        ...base,
        target: { metric: 'psnr', least },
        onTried: (computed, fidelity) => tried.set(computed, fidelity.psnr.mean),
      });
    const policy = await find(25);
    const computed = computedSteps([...policy.data.schedule].map(c => c === '.'));
    expect(tried.get(computed)).toBeGreaterThanOrEqual(25);
    for (const [count, psnr] of tried) if (count < computed) expect(psnr).toBeLessThan(25);
    expect(tried.size).toBeLessThanOrEqual(budgetsAtMost(6));
  });

  test('a mean that only just reaches it on pairs that differ is not enough', async () => {
    const pairs = [1, 2, 3, 4].map(seed => ({ prompt: 'lion', seed }));
    const find = async (least: number, tried: Map<number, Fidelity>) => {
      const policy = await calibrateToTarget(pipeline, {
        ...base,
        pairs,
        target: { metric: 'psnr', least },
        onTried: (computed, fidelity) => tried.set(computed, fidelity),
      });
      return computedSteps([...policy.data.schedule].map(c => c === '.'));
    };
    const [first, again] = [new Map<number, Fidelity>(), new Map<number, Fidelity>()];
    const { psnr } = first.get(await find(20, first))!;
    expect(psnr.std).toBeGreaterThan(0);
    const computed = await find(psnr.mean - 1e-3, again);
    expect(again.get(computed)!.psnr.mean).toBeGreaterThan(psnr.mean + 1e-3);
  });

  test('says so when even a single reused step misses it', async () => {
    const work = calibrateToTarget(pipeline, { ...base, target: { metric: 'ssim', least: 1.1 } });
    await expect(work).rejects.toThrow(PolicyError);
    await expect(work).rejects.toThrow('Even with 5 of 6 steps computed, the mean SSIM does not surely reach 1.1.');
  });
});
