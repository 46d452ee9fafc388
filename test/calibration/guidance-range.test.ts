import * as tf from '@tensorflow/tfjs-core';
import { placeOf, rectificationAt, weightsAt } from '../../src/cache/by-guidance';
import { ertacache } from '../../src/cache/ertacache';
import { calibrate } from '../../src/calibration/calibrate';
import { momentsOf, ridgeRegression, timesFactors } from '../../src/calibration/least-squares';
import { scorePolicy } from '../../src/calibration/measure';
import { draw, repeat } from '../../src/draw/draw';
import { PolicyError, UsageError } from '../../src/errors';
import { runArena } from '../../src/lab/compare/arena';
import { type Asked, beginComparison } from '../../src/lab/compare/begin';
import { contenderCalled } from '../../src/lab/compare/contenders';
import { memoryStore } from '../../src/lab/compare/memory-store';
import { mean } from '../../src/metrics/statistics';
import { type Policy, policySettings, requireFits } from '../../src/policy/data';
import { readPolicy, writePolicy } from '../../src/policy/file';
import { policyHash } from '../../src/policy/hash';
import { policiesInMemory } from '../../src/policy/source';
import type { Pipeline } from '../../src/sampling/pipeline';
import { scratchFolder } from '../media/pictures';
import { describeOnBackends } from '../support/backends';
import { toyPipeline } from '../support/toy-pipeline';

const scratch = scratchFolder();

describe('weights that depend on guidance', () => {
  test('are quadratic in its place, which is even in the logarithm', () => {
    const range = { from: 1.5, to: 6 };
    expect([1.5, 3, 6].map(guidance => placeOf(guidance, range))).toEqual([-1, expect.closeTo(0, 12), 1]);
    const weights = { 'conditional.1': 1, 'conditional.1@1': 0.5, 'conditional.1@2': 0.25, one: 2 };
    expect(weightsAt(weights, -1)).toEqual({ 'conditional.1': 0.75, one: 2 });
    expect(rectificationAt({ form: 'lsq', steps: [null, weights] }, 1)).toEqual({
      form: 'lsq',
      steps: [null, { 'conditional.1': 1.75, one: 2 }],
    });
  });

  test('are found where there are any', () => {
    // The target is (1 + 2p + 3p²) x at the place p.
    const x = [1, -2, 3, 0.5];
    const runs = [-1, -0.5, 0, 0.5, 1].map(place => {
      const scale = 1 + 2 * place + 3 * place ** 2;
      const [moments] = momentsOf([[x]], [x.map(value => scale * value)]);
      return timesFactors(moments!, [1, place, place ** 2]);
    });
    const found = ridgeRegression(runs, 1e-12);
    for (const [i, weight] of [1, 2, 3].entries()) expect(found[i]).toBeCloseTo(weight, 6);
  });
});

describeOnBackends('a policy for a range of guidance', () => {
  let model: Pipeline;
  let policy: Policy;
  const range = { from: 1.5, to: 4 };
  const pairs = Array.from({ length: 6 }, (_, i) => ({
    prompt: ['lion', 'key', 'red heart'][i % 3] as string,
    seed: i,
  }));
  beforeAll(async () => {
    model = toyPipeline();
    const before = tf.memory().numTensors;
    policy = await calibrate(model, { pairs, steps: 6, guidance: 2, guidanceRange: range, schedule: { computed: 3 } });
    expect(tf.memory().numTensors).toBe(before);
  });
  afterAll(() => model.dispose());

  test('fits all of it, reads as it was written, and its receipts lead back to it', async () => {
    const path = scratch.path('range.json');
    await writePolicy(path, policy);
    const read = await readPolicy(path);
    expect(read.data.guidanceRange).toEqual(range);
    expect(policyHash(read)).toBe(policyHash(policy));
    const policies = policiesInMemory({ read });
    for (const guidance of [1.5, 2.7, 4]) {
      const drawn = await draw({ prompt: 'lion', seed: 9, guidance }, { model, policies });
      expect(drawn.receipt).toMatchObject({ guidance, forwards: 3, policy: { hash: policyHash(policy) } });
      const again = await repeat(drawn.receipt, { model, policies });
      expect(again.media.data).toEqual(drawn.media.data);
    }
    expect((await draw({ prompt: 'lion', guidance: 5 }, { model, policies })).receipt.policy).toBeNull();
    const use = { model: model.info, scheduler: policy.data.scheduler, sigmas: policy.data.sigmas };
    expect(() => requireFits(policy.data, { ...use, guidance: 5 })).toThrow(
      'for guidance from 1.5 to 4, and this run uses 5',
    );
  });

  test('keeps more at both ends than the policy of its middle that is forced there', async () => {
    const middle = await calibrate(model, {
      pairs,
      steps: 6,
      guidance: 2.4,
      schedule: { reused: [...policy.data.schedule].map(c => c === '.') },
    });
    const kept = async (of: Policy, guidance: number): Promise<number> => {
      const at = { ...of, data: { ...of.data, guidance } };
      return mean((await scorePolicy(model, at, pairs, { batch: 6 })).map(s => s.floatPsnr));
    };
    for (const guidance of [1.5, 4]) expect(await kept(policy, guidance)).toBeGreaterThan(await kept(middle, guidance));
  });

  test('is compared at the guidance of the comparison, not at its own', async () => {
    const guidance = 3.5;
    const contenders = [contenderCalled('ertacache')];
    const asked: Asked = {
      ...{ steps: 6, guidance, picture: {}, kind: 'methods', budgets: [3], against: 'ertacache', batch: 6 },
      ...{ calibration: [], evaluation: pairs, trials: 0, timed: 0, lpips: null, policies: [] },
    };
    const machine = { cpu: '', threads: 1, gpus: [], memoryBytes: 0 };
    const here = { engine: { kind: 'cpu', label: '' }, command: '', machine, node: '' };
    const store = memoryStore(beginComparison(model.info, contenders, asked, here));
    const { cells } = await runArena(model, store, { contenders, given: new Map([['ertacache-3', policy]]) });
    const at = { ...policy, data: { ...policy.data, guidance } };
    const expected = await scorePolicy(model, at, pairs, { batch: 6 });
    expect(cells[0]?.pairs.map(pair => pair.floatPsnr)).toEqual(expected.map(score => score.floatPsnr));
  });

  test('is no method before its guidance is known', async () => {
    const unfolded = ertacache({ ...policySettings(policy), rectify: policy.rectify });
    const info = { steps: 6, sigmas: policy.data.sigmas, parts: ['conditional', 'unconditional'] };
    expect(() => unfolded.begin(info)).toThrow(PolicyError);
  });

  test.each([
    [{ from: 3, to: 2 }, {}, 'is no range'],
    [{ from: 3, to: 5 }, {}, 'is no range that has 2 in it'],
    [{ from: 0.5, to: 5 }, {}, 'has 1 in it'],
    [{ from: 0.5, to: 1 }, { guidance: 0.7 }, 'has 1 in it'],
    [range, { rectify: 'off' as const }, 'does not depend on guidance'],
  ])('%j with %j is refused', async (guidanceRange, more, message) => {
    const options = { pairs, steps: 6, guidance: 2, guidanceRange, schedule: { computed: 3 }, ...more };
    const refused = calibrate(model, options);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toThrow(UsageError);
  });
});
