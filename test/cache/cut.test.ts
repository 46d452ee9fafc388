import { cutSettings } from '../../src/cache/cut';
import { type ErtaSettings, ertacache } from '../../src/cache/ertacache';
import { reusedOf, scheduleOf } from '../../src/policy/data';

const settings = (schedule: string, change: Partial<ErtaSettings> = {}): ErtaSettings => ({
  reused: reusedOf(schedule),
  site: 'velocity',
  timestep: { form: 'off', phi: [] },
  rectify: { form: 'off' },
  ...change,
});
/** Weights that tell their step, and look back on `depth` computed outputs. */
const weights = (step: number, depth = 3) => ({ one: step, [`output.${depth}`]: 1 });
const lsq = (schedule: string, depth = 3): ErtaSettings['rectify'] => ({
  form: 'lsq',
  steps: [...schedule].map((c, i) => (c === '.' ? weights(i, depth) : null)),
});
const cut = (given: ErtaSettings, from: number): string => scheduleOf(cutSettings(given, from).reused);

test('a run that begins later takes the last steps of the schedule, its first one computed', () => {
  expect(cut(settings('##..#..#.'), 0)).toBe('##..#..#.');
  expect(cut(settings('##..#..#.'), 4)).toBe('#..#.');
  expect(cut(settings('##..#..#.'), 3)).toBe('##..#.');
  expect(cut(settings('##..#..#.'), 8)).toBe('#');
});

test('steps are computed until there is all that a reused one looks back on', () => {
  const schedule = '####.#.#.#.';
  expect(cut(settings(schedule, { rectify: lsq(schedule) }), 4)).toBe('####.#.');
  expect(cut(settings('####.#.#.', { taylor: 0.5 }), 4)).toBe('##.#.');
});

test('how many computed steps that are follows from the weights, and from the predictor', () => {
  const schedule = '######.......';
  const cutAt = (depth: number, taylor = 0): string =>
    cut(settings(schedule, { taylor, rectify: lsq(schedule, depth) }), 5);
  expect([0, 1, 2, 3, 4, 5].map(depth => cutAt(depth))).toEqual([
    '#.......',
    '#.......',
    '##......',
    '###.....',
    '####....',
    '#####...',
  ]);
  expect(cutAt(1, 0.5)).toBe('##......');
  expect(cutAt(4, 0.5)).toBe('####....');
});

test('coefficients stay with steps that are what they were in calibration', () => {
  const schedule = '####..#.';
  const rectify = lsq(schedule);
  const shorter = cutSettings(
    settings(schedule, { rectify, timestep: { form: 'cycle', phi: [...schedule].map((_, i) => i) } }),
    2,
  );
  expect(shorter.rectify).toEqual({ form: 'lsq', steps: [null, null, null, weights(5), null, weights(7)] });
  expect(shorter.timestep.phi).toEqual([2, 3, 4, 5, 6, 7]);
  expect(() => ertacache(shorter).begin({ steps: 6, sigmas: [] })).not.toThrow();
});

test('a computed step is corrected only where it looks back on all that it did in calibration', () => {
  const rectify: ErtaSettings['rectify'] = {
    form: 'lsq',
    steps: [...'#.##.##.#'].map((_, i) => (i ? weights(i) : null)),
  };
  const shorter = cutSettings(settings('#.##.##.#', { rectify }), 2);
  expect(scheduleOf(shorter.reused)).toBe('#####.#');
  expect(shorter.rectify).toEqual({
    form: 'lsq',
    steps: [null, null, null, weights(5), weights(6), weights(7), weights(8)],
  });
});
