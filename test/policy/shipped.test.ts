import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { demoPrompts } from '../../src/cli/commands/demo';
import { packageRoot } from '../../src/io/package-root';
import { computedSteps, type Policy, parsePolicy, reusedOf } from '../../src/policy/data';
import { readPolicy } from '../../src/policy/file';
import { policyHash } from '../../src/policy/hash';
import { policiesOnDisk } from '../../src/policy/on-disk';
import { policiesInMemory } from '../../src/policy/source';

const folder = join(packageRoot(), 'calibration');
const names = readdirSync(folder).filter(name => name.endsWith('.json'));
const embedded = readdirSync(join(packageRoot(), 'converted-models'));

const useOf = ({ data }: Policy) => ({
  model: { ...data.model, loras: data.model.loras ?? [] },
  scheduler: data.scheduler,
  guidance: data.guidance,
  sigmas: data.sigmas,
});
const computed = (policy: Policy | undefined) => policy && computedSteps(reusedOf(policy.data.schedule));

describe('the policies that ship', () => {
  test.each([1, 3])(
    'are there for some budgets at guidance %d; the default computes half of the steps',
    async guidance => {
      const file = (count: number) => `fluent-emoji-30steps-g${guidance}-${count}`;
      const [half, third] = await Promise.all([15, 10].map(count => policiesOnDisk.named(file(count))));
      expect([computed(half), computed(third)]).toEqual([15, 10]);
      const use = useOf(half!);
      expect(computed(await policiesOnDisk.fitting(use))).toBe(15);

      const most: Policy = { ...half!, data: { ...half!.data, schedule: `${'#'.repeat(20)}${'.'.repeat(10)}` } };
      const among = (...some: Policy[]) => policiesInMemory(Object.fromEntries(some.entries())).fitting(use);
      expect(computed(await among(third!, half!, most))).toBe(15);
      expect(computed(await among(third!, most))).toBe(10);
      expect(computed(await among(most))).toBe(20);
    },
  );

  test('are found by name where no file has that name', async () => {
    const name = 'fluent-emoji-30steps-g3-10';
    const byName = await policiesOnDisk.named(name);
    expect(policyHash(byName)).toBe(policyHash(await readPolicy(join(folder, `${name}.json`))));
    await expect(policiesOnDisk.named('fluent-emoji-30steps-g3-11')).rejects.toMatchObject({ code: 'io' });
  });

  test('are there', () => {
    expect(names.length).toBeGreaterThan(0);
  });

  test.each(names)('%s reads, and is for a model that ships too', async name => {
    const { data, rectify } = await readPolicy(join(folder, name));
    expect(embedded).toContain(data.model.id);
    expect(data.rectify.form).toBe(rectify.form);
    expect(reusedOf(data.schedule).some(r => r)).toBe(true);
  });

  test.each(names)('%s was not calibrated on what the demo draws', name => {
    const { calibration, model } = parsePolicy(JSON.parse(readFileSync(join(folder, name), 'utf8')), name);
    const listed = readFileSync(join(packageRoot(), 'converted-models', model.id, 'prompts.json'), 'utf8');
    const prompts = (JSON.parse(listed) as { prompt: string }[]).map(p => p.prompt);
    const drawn = demoPrompts({ id: model.id, prompts });
    expect(drawn.length).toBeGreaterThan(0);
    expect(calibration.pairs.length).toBeGreaterThan(0);
    expect(calibration.pairs.map(p => p.prompt).filter(p => drawn.includes(p))).toEqual([]);
  });
});
