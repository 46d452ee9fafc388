import * as tf from '@tensorflow/tfjs-core';
import { calibrate } from '../../../src/calibration/calibrate';
import { PolicyError } from '../../../src/errors';
import { runArena } from '../../../src/lab/compare/arena';
import { type Asked, beginComparison } from '../../../src/lab/compare/begin';
import { contenderCalled } from '../../../src/lab/compare/contenders';
import { openStore } from '../../../src/lab/compare/disk-store';
import { thisMachine } from '../../../src/lab/compare/this-machine';
import type { Policy, PolicyData } from '../../../src/policy/data';
import type { Pipeline } from '../../../src/sampling/pipeline';
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
}, ['native', 'wasm']);
