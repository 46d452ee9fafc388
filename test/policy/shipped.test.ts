import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { demoPrompts } from '../../src/cli/commands/demo';
import { packageRoot } from '../../src/io/package-root';
import { parsePolicy, reusedOf } from '../../src/policy/data';
import { readPolicy } from '../../src/policy/file';
import { policyHash } from '../../src/policy/hash';
import { policiesOnDisk } from '../../src/policy/on-disk';

const folder = join(packageRoot(), 'calibration');
const names = readdirSync(folder).filter(name => name.endsWith('.json'));
const embedded = readdirSync(join(packageRoot(), 'converted-models'));

describe('the policies that ship', () => {
  test('are found by name where no file has that name', async () => {
    const name = 'fluent-emoji-30steps-g3-15';
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
