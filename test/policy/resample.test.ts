import fc from 'fast-check';
import { type Policy, type PolicyData, parsePolicy, reusedOf } from '../../src/policy/data';
import { exportMask, maskAdvice } from '../../src/policy/export-mask';
import { resamplePolicy, resampleSchedule, resampleSigmas } from '../../src/policy/resample';

const levels = (steps: number, shift = 1): number[] =>
  Array.from({ length: steps + 1 }, (_, i) => {
    const t = 1 - i / steps;
    return Math.fround((shift * t) / (1 + (shift - 1) * t));
  });

function policyOf(schedule: string, changed: Partial<PolicyData> = {}): Policy {
  const data: PolicyData = {
    format: 'ertacache-policy',
    version: 1,
    name: 'ertacache',
    model: { id: 'toy', hash: 'abc', class: 'Toy' },
    scheduler: 'Euler',
    guidance: 3,
    sigmas: levels(schedule.length),
    schedule,
    site: 'hidden',
    taylor: 0,
    timestep: { form: 'off', phi: [] },
    rectify: { form: 'off' },
    search: { method: 'walk', lambda: 0.1 },
    calibration: { pairs: [], forwards: 10 },
    measured: { heldOut: { pairs: 1, psnr: { mean: 1, min: 1, std: 1 }, ssim: { mean: 1, min: 1, std: 1 } } },
    ...changed,
  };
  return { data, rectify: { form: 'off' } };
}

/** Schedules that begin with a computed step. */
const schedules = fc.array(fc.boolean(), { minLength: 3, maxLength: 40 }).map(rest => [false, ...rest]);

test('resampling to the same number of steps changes nothing', () => {
  fc.assert(
    fc.property(schedules, fc.double({ min: 0.5, max: 6, noNaN: true }), (reused, shift) => {
      const sigmas = levels(reused.length, shift);
      expect(resampleSchedule(reused, sigmas, sigmas)).toEqual(reused);
    }),
  );
});

test('the share of computed steps is kept, at every noise level within a step, and the first step is computed', () => {
  fc.assert(
    fc.property(schedules, fc.integer({ min: 4, max: 60 }), (reused, steps) => {
      const [from, to] = [levels(reused.length), levels(steps)];
      const result = resampleSchedule(reused, from, to);
      const count = (list: readonly boolean[]): number => list.filter(r => !r).length;
      expect(result).toHaveLength(steps);
      expect(result[0]).toBe(false);
      expect(count(result)).toBe(Math.max(1, Math.round((count(reused) * steps) / reused.length)));
    }),
  );
});

test('twice the steps compute twice as often where the schedule did', () => {
  const reused = reusedOf('##..#...#.##');
  expect(
    resampleSchedule(reused, levels(12), levels(24))
      .map(r => (r ? '.' : '#'))
      .join(''),
  ).toBe('####....##......##..####');
});

test('the noise levels of other step counts follow from the shift, or nothing does', () => {
  for (const shift of [1, 3.1, 0.6]) {
    const sigmas = resampleSigmas(levels(30, shift), 12)!;
    expect(Math.max(...sigmas.map((s, i) => Math.abs(s - levels(12, shift)[i]!)))).toBeLessThan(1e-4);
  }
  expect(resampleSigmas([1, 0.9, 0.5, 0.4, 0], 8)).toBeUndefined();
});

test('trust is interpolated over the noise level; measurements and rectification are not carried over', () => {
  const phi = [1, 0.2, 1, 0.6, 1, 0.4, 1, 0.8];
  const rectified = policyOf('#.#.#.#.', {
    timestep: { form: 'cycle', phi },
    rectify: { form: 'lsq', file: 'a.safetensors' },
  });
  const { data, rectify } = resamplePolicy(rectified, levels(16));
  expect(parsePolicy(JSON.parse(JSON.stringify(data)), 'resampled')).toEqual(data);
  expect([rectify, data.rectify, data.measured]).toEqual([{ form: 'off' }, { form: 'off' }, {}]);
  expect(data.search.note).toBe('resampled from 8 steps; its rectification is left out');
  // Old step 1 lies at step 2 of the new run, and old step 3 at 6: half-way between them is step 4.
  expect(data.schedule).toBe('##..##..##..##..');
  expect([data.timestep.phi[2], data.timestep.phi[3]]).toEqual([0.2, expect.closeTo(0.3, 5)]);
  expect(data.timestep.phi.every(p => p >= 0.2 && p <= 1)).toBe(true);
  const back = resamplePolicy({ data, rectify }, levels(8)).data;
  expect(back.schedule).toBe('#.#.#.#.');
  expect(back.search.note).toContain('resampled from 16 steps');
});

test('fewer than four steps are refused', () => {
  expect(() => resamplePolicy(policyOf('#.#.'), levels(3))).toThrow('cannot have fewer than 4 steps; 3 were asked for');
});

test('masks say for every step whether it is computed, in the words of each program', () => {
  const policy = policyOf('##..#.');
  expect(JSON.parse(exportMask(policy, 'cache-dit'))).toEqual([1, 1, 0, 0, 1, 0]);
  expect(exportMask(policy, 'sd.cpp')).toBe('--cache-mode cache-dit --scm-mask 1,1,0,0,1,0 --scm-policy static');
  expect(maskAdvice(policy, 'sd.cpp')).not.toContain('lost');
  const corrected = policyOf('##..#.', { timestep: { form: 'cycle', phi: [] }, taylor: 0.5 });
  expect(maskAdvice(corrected, 'cache-dit')).toContain(
    "The policy's timestep adjustment and extrapolation cannot be told",
  );
});
