import * as tf from '@tensorflow/tfjs-core';
import { calibrate } from '../../../src/calibration/calibrate';
import { PolicyError } from '../../../src/errors';
import { runArena } from '../../../src/lab/compare/arena';
import { type Asked, beginComparison, usualBudgets } from '../../../src/lab/compare/begin';
import { contenderCalled } from '../../../src/lab/compare/contenders';
import { openStore } from '../../../src/lab/compare/disk-store';
import { givenPolicies, type Table } from '../../../src/lab/compare/given';
import { thisMachine } from '../../../src/lab/compare/this-machine';
import type { Policy, PolicyData } from '../../../src/policy/data';
import { policyHash } from '../../../src/policy/hash';
import type { Pipeline } from '../../../src/sampling/pipeline';
import { policyUse } from '../../../src/sampling/policy-use';
import { scratchFolder } from '../../media/pictures';
import { describeOnBackends } from '../../support/backends';
import { toyPipeline } from './toy';

const scratch = scratchFolder();
const ASKED: Asked = {
  steps: 8,
  guidance: 1,
  picture: {},
  kind: 'methods',
  budgets: [4],
  against: 'ertacache',
  calibration: [{ prompt: 'calibrated', seed: 20 }],
  evaluation: [{ prompt: 'compared', seed: 0 }],
  batch: 1,
  trials: 1,
  timed: 0,
  lpips: null,
  policies: [],
};

describeOnBackends('a policy that is given to a comparison', () => {
  let pipeline: Pipeline;
  let policy: Policy;
  beforeAll(async () => {
    pipeline = toyPipeline();
    const schedule = { reused: [false, true, false, true, false, true, true, false] };
    policy = await calibrate(pipeline, { pairs: ASKED.calibration, steps: 8, guidance: 1, schedule });
  });
  afterAll(() => pipeline.dispose());

  async function compare(given: Policy): Promise<{ cells: number; planned: boolean }> {
    const contenders = [contenderCalled('ertacache')];
    const engine = { kind: 'cpu', label: 'test' };
    const fresh = beginComparison(pipeline.info, contenders, ASKED, { engine, command: '', ...(await thisMachine()) });
    const store = await openStore(scratch.path('out'), fresh, { force: true });
    let planned = false;
    const byCell = new Map([['ertacache-4', given]]);
    const onPlan = (): void => {
      planned = true;
    };
    const { cells } = await runArena(pipeline, store, { contenders, given: byCell, onPlan }).catch(error => {
      throw Object.assign(error, { planned });
    });
    return { cells: cells.length, planned };
  }

  test('is used where it fits the run', async () => {
    const before = tf.memory().numTensors;
    expect(await compare(policy)).toEqual({ cells: 1, planned: true });
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each<[string, () => Partial<PolicyData>, string]>([
    ['model', () => ({ model: { ...policy.data.model, hash: 'b'.repeat(64) } }), 'for the model "toy"'],
    ['sampler', () => ({ scheduler: 'Euler' }), 'was calibrated with Euler'],
    ['schedule', () => ({ sigmas: policy.data.sigmas.map(s => s ** 2) }), 'another noise schedule'],
    ['guidance', () => ({ guidance: 3 }), 'at guidance 3, and this run uses 1'],
  ])('stops the comparison before it begins when it is for another %s', async (_, change, message) => {
    const before = tf.memory().numTensors;
    const error = await compare({ ...policy, data: { ...policy.data, ...change() } }).then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(PolicyError);
    expect((error as PolicyError).message).toContain(message);
    expect((error as { planned?: boolean }).planned).toBe(false);
    expect(tf.memory().numTensors).toBe(before);
  });

  describe('in a table', () => {
    const table = (given: Partial<Table> = {}): Table => ({
      use: policyUse(pipeline.info, 1, pipeline.schedule({ steps: 8, guidance: 1 })),
      contenders: [contenderCalled('ertacache')],
      budgets: [4, 2],
      evaluation: ASKED.evaluation,
      ...given,
    });
    const named = (called = 'p.json', of: Policy = policy) => ({ called, policy: of });

    test('has the place of its method and budget', () => {
      const { byCell, listed } = givenPolicies([named()], table());
      expect([...byCell.keys()]).toEqual(['ertacache-4']);
      expect(listed).toEqual([{ method: 'ertacache', computed: 4, hash: policyHash(policy) }]);
      // Also where only a method is compared that goes by its schedule.
      const taylor = { contenders: [contenderCalled('taylor-searched')] };
      expect([...givenPolicies([named()], table(taylor)).byCell.keys()]).toEqual(['ertacache-4']);
    });

    test('is refused where it has none, before another is calibrated in its place', () => {
      expect(() => givenPolicies([named()], table({ budgets: [3, 2] }))).toThrow(
        expect.objectContaining({
          message: 'p.json computes 4 of 8 steps, which is not compared.',
          hint: 'Add it: --budgets 3,2,4.',
        }),
      );
      const uniform = { contenders: [contenderCalled('uniform')] };
      expect(() => givenPolicies([named()], table(uniform))).toThrow('which is not compared');
    });

    test('is refused where another one has the same', () => {
      const other: Policy = { ...policy, data: { ...policy.data, taylor: 0.5 } };
      expect(() => givenPolicies([named(), named('q.json', other)], table())).toThrow(
        'p.json and q.json are both ertacache at 4 steps.',
      );
      expect(givenPolicies([named(), named('copy.json')], table()).listed).toHaveLength(1);
    });

    test('is refused where a prompt was calibrated on, but for the empty one', () => {
      const compared = (prompt: string): Partial<Table> => ({ evaluation: [{ prompt, seed: 0 }] });
      expect(() => givenPolicies([named()], table(compared('calibrated')))).toThrow('but p.json has seen it');
      const pairs = [...policy.data.calibration.pairs, { prompt: '', seed: 21 }];
      const calibration = { ...policy.data.calibration, pairs };
      const mixture: Policy = { ...policy, data: { ...policy.data, calibration } };
      expect(givenPolicies([named('m.json', mixture)], table(compared(''))).listed).toHaveLength(1);
    });
  });
}, ['native', 'wasm']);

test('usual budgets are a half, a third and a fifth, as far as a run has them', () => {
  expect(usualBudgets(30)).toEqual([15, 10, 6]);
  expect(usualBudgets(8)).toEqual([4, 3, 2]);
  expect(usualBudgets(4)).toEqual([2]);
});
