import * as tf from '@tensorflow/tfjs-core';
import { cutSettings } from '../../src/cache/cut';
import { adjustedLevels } from '../../src/cache/time-grid';
import { type CalibrateVelocityOptions, calibrate } from '../../src/calibration/calibrate';
import { levelAt, levelsOf, movePlaces } from '../../src/calibration/search/levels';
import { PolicyError, UnsupportedError, UsageError } from '../../src/errors';
import { policyText } from '../../src/lab/report/policy-text';
import { type Policy, type PolicyData, parsePolicy, policySettings, reusedOf } from '../../src/policy/data';
import { resamplePolicy } from '../../src/policy/resample';
import { sampleLatents } from '../../src/sampling/velocity/sample-latents';
import { describeOnBackends } from '../support/backends';

const STEPS = 16;
const SIGMAS = Array.from({ length: STEPS + 1 }, (_, i) => 1 - i / STEPS);

test('places between the steps of a grid have levels between its levels', () => {
  expect(levelAt(SIGMAS, 4)).toBe(SIGMAS[4]);
  expect(levelAt(SIGMAS, 4.25)).toBeCloseTo(1 - 4.25 / STEPS);
  expect(levelsOf([1, 0.8, 0.5, 0.1, 0], reusedOf('#..#'), [0, 2.5])).toEqual([
    1,
    expect.closeTo(1 - (0.2 * 2.5) / 3),
    expect.closeTo(0.8 - 0.3 * (5 / 3 - 1)),
    expect.closeTo(0.3),
    0,
  ]);
});

test('places are moved in steps, halves and quarters, and never past each other', async () => {
  const wanted = [0, 3.75, 5.5, 6];
  let judged = 0;
  const judge = async (places: readonly number[]): Promise<number> => {
    judged++;
    expect(places.every((place, i) => i === 0 || place > (places[i - 1] as number))).toBe(true);
    expect(places.at(-1)).toBeLessThan(8);
    return -places.reduce((sum, place, i) => sum + (place - (wanted[i] as number)) ** 2, 0);
  };
  const start = { places: [0, 1, 2, 3], judged: await judge([0, 1, 2, 3]) };
  const isBetter = (a: number, than: number): boolean => a > than;
  expect((await movePlaces(start, 8, { judge, isBetter }, 100)).places).toEqual(wanted);
  judged = 0;
  await movePlaces(start, 8, { judge, isBetter }, 7);
  expect(judged).toBe(7);
});

describeOnBackends('a search of free noise levels', () => {
  // Towards two points, 1 and -1, each as likely as it is to have led here.
  const velocity = (x: tf.Tensor, t: number): tf.Tensor =>
    tf.tidy(() => tf.div(tf.sub(x, tf.tanh(tf.div(tf.mul(x, 1 - t), t * t + 0.05))), t));
  const schedule = { computed: 4, search: 'solver', trials: 16 } as const;
  let latents: tf.Tensor;
  let options: CalibrateVelocityOptions;
  let policy: Policy;
  beforeAll(async () => {
    latents = tf.randomNormal([64, 2], 0, 1, 'float32', 1);
    options = { runs: [{ latents }], sigmas: SIGMAS, schedule };
    policy = await calibrate(velocity, options);
  });
  afterAll(() => latents.dispose());

  const errorOf = async (one: Policy | undefined): Promise<number> => {
    const uncached = await sampleLatents(velocity, latents, { sigmas: SIGMAS });
    const drawn = await sampleLatents(velocity, latents, { sigmas: SIGMAS, ...(one && { policy: one }) });
    const error = tf.tidy(() => tf.mean(tf.squaredDifference(drawn.latents, uncached.latents)).dataSync()[0] as number);
    tf.dispose([uncached.latents, drawn.latents]);
    return error;
  };

  test('ends nearer to the uncached run than levels of its own, with as many computed steps', async () => {
    const before = tf.memory().numTensors;
    const counted = { done: 0, total: 0 };
    const again = await calibrate(velocity, {
      ...options,
      onProgress: (done, total) => void Object.assign(counted, { done, total }),
    });
    expect(again.data).toEqual(policy.data);
    expect(counted.done).toBe(policy.data.calibration.forwards);
    expect(counted.done).toBeLessThanOrEqual(counted.total);
    const bound = await calibrate(velocity, { ...options, schedule: { computed: 4 } });
    expect(reusedOf(policy.data.schedule)).toEqual(reusedOf(bound.data.schedule));
    expect(policy.data.timestep).toMatchObject({ form: 'levels', phi: [] });
    expect(await errorOf(policy)).toBeLessThan(0.9 * (await errorOf(bound)));
    expect(tf.memory().numTensors).toBe(before);
  });

  test('has levels that fall from one end of the run to the other, and is drawn with them', () => {
    const { levels = [] } = parsePolicy(JSON.parse(JSON.stringify(policy.data)), 'it').timestep;
    expect(adjustedLevels(SIGMAS, reusedOf(policy.data.schedule), policy.data.timestep)).toEqual(levels);
    expect(levels.filter(level => SIGMAS.every(own => Math.abs(own - level) > 1e-6)).length).toBeGreaterThan(0);
    expect(policyText(policy)).toContain('computed at  σ = 1.000');
  });

  test('serves a run that begins on the way, whose first levels are its own', () => {
    for (let from = 1; from < STEPS; from++) {
      const { reused, timestep } = cutSettings(policySettings(policy), from);
      const left = SIGMAS.slice(from);
      const levels = adjustedLevels(left, reused, timestep);
      expect(levels).toHaveLength(left.length);
      expect([levels[0], levels.at(-1)]).toEqual([left[0], 0]);
      for (const [i, level] of levels.entries()) if (i > 0) expect(level).toBeLessThan(levels[i - 1] as number);
    }
  });

  test('is left out where the number of steps changes', () => {
    const other = resamplePolicy(
      policy,
      Array.from({ length: 9 }, (_, i) => 1 - i / 8),
    );
    expect(other.data.timestep).toEqual({ form: 'off', phi: [] });
  });

  test.each<[string, Partial<PolicyData['timestep']>]>([
    ['it moves 0 noise levels of 17', { levels: undefined }],
    ['it moves 3 noise levels of 17', { levels: [1, 0.5, 0] }],
    ['do not fall', { levels: SIGMAS.map((level, i) => (i === 3 ? 0.99 : level)) }],
    ['have other ends', { levels: SIGMAS.map((level, i) => (i === 0 ? 1.5 : level)) }],
  ])('a file in which %s is refused', (fault, change) => {
    const data = { ...policy.data, timestep: { ...policy.data.timestep, ...change } };
    expect(() => parsePolicy(data, 'it')).toThrow(PolicyError);
    expect(() => parsePolicy(data, 'it')).toThrow(fault);
  });

  test('is refused with other corrections, with times that reuse moves, and with a sampler that looks back', async () => {
    await expect(calibrate(velocity, { ...options, rectify: 'linear' })).rejects.toThrow(UsageError);
    await expect(calibrate(velocity, { ...options, timestep: 'cycle' })).rejects.toThrow(UsageError);
    const scheduler = {
      name: 'looks-back',
      sigmas: SIGMAS,
      solver: (sigmas: readonly number[] = SIGMAS) => ({
        sigmas,
        timesteps: sigmas.slice(0, -1),
        step: (_: number, output: tf.Tensor, sample: tf.Tensor) => tf.sub(sample, tf.mul(output, 1 / STEPS)),
        dispose() {},
      }),
    };
    const looking = { runs: options.runs, scheduler, schedule };
    await expect(calibrate(velocity, looking)).rejects.toThrow(UnsupportedError);
  });
});
