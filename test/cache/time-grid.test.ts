import fc from 'fast-check';
import { adjustGrid, type TimestepForm } from '../../src/cache/time-grid';

interface Plan {
  readonly sigmas: number[];
  readonly reused: boolean[];
  readonly phi: number[];
}

const length = (a: number, b: number): number => a - b;
const unit = fc.double({ min: 0, max: 1, noNaN: true });

/** A falling grid from 1 to 0 with steps of any lengths, the first computed. */
const plans: fc.Arbitrary<Plan> = fc
  .array(fc.tuple(fc.double({ min: 0.01, max: 1, noNaN: true }), fc.boolean(), unit), { minLength: 1, maxLength: 50 })
  .map(steps => {
    const total = steps.reduce((sum, [l]) => sum + l, 0);
    const sigmas = [1];
    for (const [l] of steps.slice(0, -1)) sigmas.push((sigmas.at(-1) as number) - l / total);
    return { sigmas: [...sigmas, 0], reused: steps.map(([, r], i) => i > 0 && r), phi: steps.map(([, , p]) => p) };
  });

const forms: readonly TimestepForm[] = ['off', 'global', 'cycle'];

describe.each(forms)('timestep adjustment %s', form => {
  test('keeps both ends, and every step has a length', () => {
    fc.assert(
      fc.property(plans, ({ sigmas, reused, phi }) => {
        const grid = adjustGrid(sigmas, reused, phi, form);
        expect(grid).toHaveLength(sigmas.length);
        expect(grid[0]).toBe(1);
        expect(grid.at(-1)).toBe(0);
        for (let i = 1; i < grid.length; i++) {
          expect(length(grid[i - 1] as number, grid[i] as number)).toBeGreaterThan(0);
          expect(grid[i]).toBeGreaterThanOrEqual(0);
          expect(grid[i]).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('changes nothing where nothing is reused, or all of it is trusted', () => {
    fc.assert(
      fc.property(plans, ({ sigmas, reused, phi }) => {
        const same = [
          adjustGrid(
            sigmas,
            reused.map(() => false),
            phi,
            form,
          ),
          adjustGrid(
            sigmas,
            reused,
            phi.map(() => 1),
            form,
          ),
        ];
        for (const grid of same) {
          for (const [i, s] of grid.entries()) expect(s).toBeCloseTo(sigmas[i] as number, 9);
        }
      }),
    );
  });
});

test('cycle leaves computed steps at their times', () => {
  fc.assert(
    fc.property(plans, ({ sigmas, reused, phi }) => {
      const grid = adjustGrid(sigmas, reused, phi, 'cycle');
      reused.forEach((r, i) => {
        if (!r) expect(grid[i]).toBeCloseTo(sigmas[i] as number, 12);
      });
    }),
  );
});

test('cycle without trust is Euler on the computed steps alone', () => {
  fc.assert(
    fc.property(plans, ({ sigmas, reused, phi }) => {
      const grid = adjustGrid(
        sigmas,
        reused,
        phi.map(() => 0),
        'cycle',
      );
      // A velocity of the place where it was computed, reused over its cycle.
      const velocity = (x: number, s: number): number => Math.sin(3 * s) - 0.3 * x;
      let [x, v] = [1, 0];
      let coarse = 1;
      const computed = reused.flatMap((r, i) => (r ? [] : [i]));
      for (let i = 0; i < reused.length; i++) {
        if (!reused[i]) v = velocity(x, grid[i] as number);
        x += ((grid[i + 1] as number) - (grid[i] as number)) * v;
      }
      for (const [k, i] of computed.entries()) {
        const [from, to] = [sigmas[i] as number, sigmas[computed[k + 1] ?? sigmas.length - 1] as number];
        coarse += (to - from) * velocity(coarse, from);
      }
      expect(x).toBeCloseTo(coarse, 9);
    }),
  );
});

test('global gives the time that reused steps lack to the steps that are left', () => {
  const sigmas = [1, 0.75, 0.5, 0.25, 0];
  const grid = adjustGrid(sigmas, [false, true, false, false], [1, 0.5, 1, 1], 'global');
  const lengths = grid.slice(1).map((s, i) => length(grid[i] as number, s));
  expect(lengths[0]).toBeCloseTo(0.25);
  expect(lengths[1]).toBeCloseTo(0.125);
  expect(lengths[2]).toBeCloseTo(0.3125);
  expect(lengths[3]).toBeCloseTo(0.3125);
});
