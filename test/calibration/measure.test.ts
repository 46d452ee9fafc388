import * as tf from '@tensorflow/tfjs-core';
import { calibrate } from '../../src/calibration/calibrate';
import { fidelityOf, measurePolicy, runBeside, score, scorePolicy } from '../../src/calibration/measure';
import { PolicyError } from '../../src/errors';
import { image } from '../../src/media/pixels';
import type { Policy, PolicyData } from '../../src/policy/data';
import type { Pipeline } from '../../src/sampling/pipeline';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const pairs = [{ prompt: 'red heart', seed: 1 }];

describeOnBackends('a policy that is measured', () => {
  let pipeline: Pipeline;
  let policy: Policy;
  beforeAll(async () => {
    pipeline = toyPipeline();
    const schedule = { reused: [false, true, true, false, true] };
    policy = await calibrate(pipeline, { pairs, steps: 5, guidance: 2, schedule, rectify: 'off' });
  });
  afterAll(() => pipeline.dispose());

  const changed = (data: Partial<PolicyData>): Policy => ({ ...policy, data: { ...policy.data, ...data } });
  const request = { prompts: ['red heart'], seeds: [1], steps: 5, guidance: 2 };
  const others: [string, () => Policy, string][] = [
    [
      'model',
      () => changed({ model: { ...policy.data.model, id: 'another', hash: 'other' } }),
      'for the model "another"',
    ],
    ['sampler', () => changed({ scheduler: 'Euler' }), 'was calibrated with Euler'],
    ['schedule', () => changed({ sigmas: policy.data.sigmas.map(s => s ** 2) }), 'another noise schedule'],
  ];

  test.each(others)('is refused when it is for another %s', async (_, other, message) => {
    const before = tf.memory().numTensors;
    for (const measured of [
      () => measurePolicy(pipeline, other(), pairs, { batch: 1 }),
      () => scorePolicy(pipeline, other(), pairs, { batch: 1 }),
      () => runBeside(pipeline, request, other()),
    ]) {
      const error = await measured().then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(PolicyError);
      expect((error as PolicyError).message).toContain(message);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  test('is refused beside a run of another guidance or number of steps', async () => {
    await expect(runBeside(pipeline, { ...request, guidance: 3 }, policy)).rejects.toThrow(
      'calibrated at guidance 2, and this run uses 3',
    );
    await expect(runBeside(pipeline, { ...request, steps: 6 }, policy)).rejects.toThrow('for 5 steps');
  });

  test('runs beside the uncached run of the same request, and nothing leaks', async () => {
    const before = tf.memory().numTensors;
    const { uncached, cached } = await runBeside(pipeline, request, policy);
    expect([uncached.schedule, cached.schedule]).toEqual(['#####', '#..#.']);
    expect(tf.memory().numTensors).toBe(before);
  });
});

test('pictures are scored as files show them, and in floats beside', () => {
  const flat = (value: number) => image(new Float32Array(12 * 12 * 3).fill(value), 12, 12);
  const same = score(flat(100.1 / 255), flat(99.9 / 255));
  expect([same.psnr, same.ssim]).toEqual([100, 1]);
  expect(same.floatPsnr).toBeCloseTo(-20 * Math.log10(0.2 / 255), 2);
  const off = score(flat(100.4 / 255), flat(100.6 / 255));
  expect(off.psnr).toBeCloseTo(-20 * Math.log10(1 / 255), 2);
});

test('a fidelity says who keeps what', () => {
  const scores = Array.from({ length: 20 }, (_, i) => {
    const psnr = i === 0 ? 25 : i < 4 ? 35 : 60;
    return { psnr, floatPsnr: psnr + 1, ssim: 0.9 };
  });
  expect(fidelityOf(scores)).toMatchObject({
    pairs: 20,
    psnr: { min: 25 },
    floatPsnr: { min: 26 },
    quantiles: { tenth: 35, median: 60 },
    below40: 0.2,
    below30: 0.05,
  });
});
