import { join } from 'node:path';
import { Command } from 'commander';
import { policyCommand } from '../../src/cli/commands/policy';
import { packageRoot } from '../../src/io/package-root';
import { readPolicy, writePolicy } from '../../src/policy/file';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';

const scratch = scratchFolder();
const shipped = join(packageRoot(), 'calibration', 'fluent-emoji-30steps-g3-15.json');

async function printed(...argv: string[]): Promise<{ out: string; err: string }> {
  const lines: string[] = [];
  const messages: string[] = [];
  const spies = [
    jest.spyOn(console, 'log').mockImplementation(line => void lines.push(String(line))),
    jest.spyOn(process.stderr, 'write').mockImplementation(text => messages.push(String(text)) > 0),
  ];
  const root = new Command().option('--backend <name>', '', usableBackends()[0]).addCommand(policyCommand());
  await root.parseAsync(['policy', ...argv], { from: 'user' }).finally(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return { out: lines.join('\n'), err: messages.join('') };
}

test('show draws schedule, corrections and what was measured', async () => {
  const { data } = await readPolicy(shipped);
  const { out } = await printed('show', shipped);
  expect(out).toMatch(/^policy +ertacache\nmodel +fluent-emoji, FluxTransformer2DModel, [0-9a-f]{12}\n/);
  expect(out).toContain(`schedule     ${data.schedule}   # computed   . reused`);
  expect(out).toMatch(/over σ +[█░]{60}\n/);
  expect(out).toMatch(/size +[▁▂▃▄▅▆▇█ ]{30} {3}█ = [\d.]+/);
  expect(out).toMatch(
    /held out +.*PSNR \d+\.\d\d dB \(worst \d+\.\d\d; in floats \d+\.\d\d\), SSIM [01]\.\d{4}, \d+ pairs/,
  );
});

test('export prints what the other program takes, and says what is lost', async () => {
  const { data } = await readPolicy(shipped);
  const list = await printed('export', shipped, '--format', 'cache-dit');
  const mask: number[] = JSON.parse(list.out);
  expect(mask.map(m => (m === 1 ? '#' : '.')).join('')).toBe(data.schedule);
  expect(list.err).toContain('rectification cannot be told by a mask');
  const options = await printed('export', shipped, '--format', 'sd.cpp');
  expect(options.out).toBe(`--cache-mode cache-dit --scm-mask ${mask.join(',')} --scm-policy static`);
});

test('resample writes a policy that can be read, and says what is not carried over', async () => {
  const path = scratch.path('policy-50.json');
  const { out, err } = await printed('resample', shipped, '--steps', '50', '--out', path);
  expect(err).toContain('The rectification (lsq) belongs to the steps it was fitted on and is not carried over');
  const { data } = await readPolicy(path);
  expect(out).toContain(data.schedule);
  expect([data.schedule.length, data.sigmas.length, data.measured]).toEqual([50, 51, {}]);

  // The model's own noise levels are the same.
  const fromModel = scratch.path('policy-50-model.json');
  await printed('resample', shipped, '--steps', '50', '--out', fromModel, '--model', 'fluent-emoji');
  const other = (await readPolicy(fromModel)).data;
  expect(Math.max(...other.sigmas.map((s, i) => Math.abs(s - data.sigmas[i]!)))).toBeLessThan(1e-4);
  expect(other.schedule).toBe(data.schedule);
});

test('of a file with many budgets one is exported and resampled, and it is said which', async () => {
  const many = join(packageRoot(), 'calibration', 'fluent-emoji-30steps-g3-budgets.json');
  const computed = (mask: string): number => (JSON.parse(mask) as number[]).filter(m => m === 1).length;
  const usual = await printed('export', many, '--format', 'cache-dit');
  expect(computed(usual.out)).toBe(15);
  expect(usual.err).toMatch(/^Of \d+ budgets the one with 15 forward passes is taken; --forwards takes another\.\n/);
  const chosen = await printed('export', many, '--format', 'cache-dit', '--forwards', '8');
  expect(computed(chosen.out)).toBe(8);
  expect(chosen.err).not.toContain('budgets');
  const path = scratch.path('eight.json');
  await printed('resample', many, '--forwards', '8', '--steps', '60', '--out', path);
  const { data, budgets } = await readPolicy(path);
  expect([[...data.schedule].filter(mark => mark === '#').length, budgets]).toEqual([16, undefined]);
});

test('show says what the bars of the budgets stand for', async () => {
  const { out } = await printed('show', 'fluent-emoji-30steps-g3-budgets');
  const bars = [...out.matchAll(/^ +\d+ +([\d.]+) dB {2}█/gm)].map(([, psnr]) => psnr);
  expect(bars.length).toBeGreaterThan(20);
  expect(out).toMatch(new RegExp(`^budgets +bars from ${bars[0]} to ${bars.at(-1)} dB$`, 'm'));
});

test("another model's noise levels are refused", async () => {
  const policy = await readPolicy(shipped);
  const path = scratch.path('foreign.json');
  const model = { ...policy.data.model, id: 'other', hash: 'f'.repeat(64) };
  await writePolicy(path, { ...policy, data: { ...policy.data, model } });
  await expect(
    printed('resample', path, '--steps', '20', '--out', scratch.path('p.json'), '--model', 'fluent-emoji'),
  ).rejects.toThrow('The policy was calibrated for the model "other" (ffffffffffff), not for "fluent-emoji"');
});

test('what cannot be is one sentence', async () => {
  await expect(printed('show', join(packageRoot(), 'package.json'))).rejects.toThrow('is not a policy of ertacache');
  await expect(printed('show', 'nowhere.json')).rejects.toMatchObject({ code: 'io' });
  await expect(printed('resample', shipped, '--steps', '3', '--out', scratch.path('p.json'))).rejects.toThrow(
    'A policy cannot have fewer than 4 steps; 3 were asked for.',
  );
  await expect(printed('resample', shipped, '--steps', '20', '--out', scratch.path('p.txt'))).rejects.toMatchObject({
    code: 'usage',
  });
});
