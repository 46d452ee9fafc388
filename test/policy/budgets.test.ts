import { readFile, writeFile } from 'node:fs/promises';
import type { Combination } from '../../src/cache/rectify';
import { PolicyError, UsageError } from '../../src/errors';
import { atBudget, computedBy, withinBudget } from '../../src/policy/budget';
import { computedSteps, type Policy, reusedOf } from '../../src/policy/data';
import { readPolicy, writePolicy } from '../../src/policy/file';
import { policyHash } from '../../src/policy/hash';
import { policiesOnDisk } from '../../src/policy/on-disk';
import { policiesInMemory } from '../../src/policy/source';
import { scratchFolder } from '../media/pictures';

const scratch = scratchFolder();
const f = Math.fround;

/** A policy of made-up weights, measured at a PSNR. */
function made(schedule: string, psnr: number): Policy {
  const steps = [...schedule].map((c, i): Combination | null => (c === '.' ? { 'output.1': f(1 + i / 10) } : null));
  const spread = { mean: psnr, min: psnr, std: 0 };
  return {
    rectify: { form: 'lsq', steps },
    data: {
      format: 'ertacache-policy',
      version: 1,
      name: 'ertacache',
      model: { id: 'toy', hash: 'abc123', class: 'FluxTransformer2DModel' },
      scheduler: 'FlowMatchEulerDiscreteScheduler',
      guidance: 3,
      sigmas: [1, 0.8, 0.6, 0.4, 0.2, 0],
      schedule,
      site: 'velocity',
      taylor: 0,
      timestep: { form: 'off', phi: [] },
      rectify: { form: 'lsq' },
      search: { method: 'dp' },
      calibration: {
        pairs: [{ prompt: 'red heart', seed: 9000 }],
        forwards: 12,
        gap: { step: schedule.indexOf('.') - 1, from: 0.1, to: 0.2 },
      },
      measured: { heldOut: { pairs: 4, psnr: spread, floatPsnr: spread, ssim: { mean: 1, min: 1, std: 0 } } },
    },
  };
}

const budgets = [made('##...', 30), made('##.#.', 40), made('##.##', 45)];
const whole: Policy = { ...(budgets[0] as Policy), budgets };
const schedules = (policy: Policy): string[] => (policy.budgets ?? []).map(({ data }) => data.schedule);
const use = {
  model: { id: 'toy', hash: 'abc123' },
  scheduler: whole.data.scheduler,
  guidance: 3,
  sigmas: whole.data.sigmas,
};

describe('a file of many budgets', () => {
  test('reads as it was written, and each budget has the hash of its policy alone', async () => {
    const path = scratch.path('all.json');
    await writePolicy(path, whole);
    const read = await readPolicy(path);
    expect(schedules(read)).toEqual(['##...', '##.#.', '##.##']);
    for (const [i, each] of (read.budgets ?? []).entries()) {
      const alone = scratch.path(`alone-${i}.json`);
      await writePolicy(alone, budgets[i] as Policy);
      const single = await readPolicy(alone);
      expect(policyHash(each)).toBe(policyHash(single));
      expect(each.rectify).toEqual(single.rectify);
      expect(each.data.measured).toEqual(single.data.measured);
      expect(each.data.calibration).toEqual(single.data.calibration);
    }
    expect(policyHash(read)).toBe(policyHash(budgets[0] as Policy));
    const found = await policiesOnDisk.byHash(policyHash(budgets[1] as Policy), path);
    expect(found).toMatchObject({ path, policy: { data: { schedule: '##.#.' } } });
  });

  test.each<[string, (text: string) => string, string]>([
    ['changed', text => text.replace('"schedule":"##.#."', '"schedule":"###.."'), 'has changed since it was written'],
    ['doubled', text => text.replace('"schedule":"##.#."', '"schedule":"##.##"'), 'its budgets do not grow'],
    ['that is none', text => text.replace('"site":"velocity"', '"site":"nowhere"'), 'budget 1, is not a policy'],
    ['that is no list', text => text.replace(/"budgets": \[[\s\S]*\]\n/, '"budgets": 3\n'), 'its budgets are no list'],
  ])('with a budget %s is refused', async (_, change, message) => {
    const path = scratch.path('changed.json');
    await writePolicy(path, whole);
    await writeFile(path, change(await readFile(path, 'utf8')));
    await expect(readPolicy(path)).rejects.toThrow(message);
  });

  test('holds policies of one run only', async () => {
    const other = made('##.#.', 40);
    const foreign = { ...other, data: { ...other.data, guidance: 2 } };
    const mixed = { ...whole, budgets: [budgets[0] as Policy, foreign] };
    await expect(writePolicy(scratch.path('mixed.json'), mixed)).rejects.toThrow('differ in guidance');
  });
});

describe('a budget', () => {
  const computed = (policy: Policy | undefined) => policy && computedSteps(reusedOf(policy.data.schedule));

  test('takes the most forwards that it allows, or the fewest that reach a likeness', () => {
    expect(computedBy(atBudget(whole, { forwards: 3 }))).toBe(3);
    expect(computedBy(atBudget(whole, { forwards: 30 }))).toBe(4);
    expect(computedBy(atBudget(whole, { speedup: 5 / 3 }))).toBe(3);
    expect(computedBy(atBudget(whole, { speedup: 2 }))).toBe(2);
    expect(computedBy(atBudget(whole, { psnr: 40 }))).toBe(3);
    expect(computedBy(atBudget(whole, { psnr: 40.1 }))).toBe(4);
    expect(atBudget(whole, {})).toBe(whole);
    expect(withinBudget([whole], { psnr: 46 })).toBeUndefined();
    // Of floats it says nothing: they lie higher than what is written.
    const only = made('##.#.', 40);
    const { psnr, ssim } = only.data.measured.heldOut!;
    const older = { ...only, data: { ...only.data, measured: { heldOut: { pairs: 4, psnr, ssim } } } };
    expect([withinBudget([only], { psnr: 1 }), withinBudget([older], { psnr: 1 })]).toEqual([only, undefined]);
  });

  test('that no policy has is refused, with the nearest that there is', () => {
    expect(() => atBudget(whole, { forwards: 1 })).toThrow(PolicyError);
    expect(() => atBudget(whole, { psnr: 46 })).toThrow('No budget of the policy was measured to reach 46 dB.');
    expect(() => atBudget(whole, { forwards: 3, psnr: 40 })).toThrow(UsageError);
  });

  test('chooses among all policies that fit a run', async () => {
    const policies = policiesInMemory({ whole, own: made('#....', 20) });
    expect(computed(await policies.fitting(use))).toBe(2);
    expect(computed(await policies.fitting(use, { forwards: 3 }))).toBe(3);
    expect(computed(await policies.fitting(use, { forwards: 1 }))).toBe(1);
    expect(await policies.fitting(use, { forwards: 5 })).toBeUndefined();
    expect(await policies.fitting(use, { psnr: 90 })).toBeUndefined();
    await expect(policies.fitting({ ...use, guidance: 5 }, { forwards: 3 })).rejects.toThrow('No policy fits toy');
    const { policy } = (await policies.byHash(policyHash(budgets[2] as Policy))) ?? {};
    expect(computed(policy)).toBe(4);
  });
});
