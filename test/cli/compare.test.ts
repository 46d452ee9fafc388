import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { compareCommand } from '../../src/cli/commands/compare';
import type { Comparison } from '../../src/lab/compare/comparison';
import { scratchFolder } from '../media/pictures';
import { usableBackends } from '../support/backends';

jest.setTimeout(240_000);
const scratch = scratchFolder();

/** What the command prints on stdout and on stderr. */
async function compared(...argv: string[]): Promise<{ out: string; err: string }> {
  const lines: string[] = [];
  const messages: string[] = [];
  const spies = [
    jest.spyOn(console, 'log').mockImplementation(line => void lines.push(String(line))),
    jest.spyOn(process.stderr, 'write').mockImplementation(text => messages.push(String(text)) > 0),
  ];
  const command = compareCommand()
    .exitOverride()
    .configureOutput({ writeErr: text => messages.push(text) });
  const root = new Command().option('--backend <name>', '', usableBackends()[0]).exitOverride().addCommand(command);
  await root.parseAsync(['compare', ...argv], { from: 'user' }).finally(() => {
    for (const spy of spies) spy.mockRestore();
  });
  return { out: lines.join('\n'), err: messages.join('') };
}

const SMALL = ['--pairs', '2', '--calibration-pairs', '2', '--steps', '6', '--budgets', '3', '--timed-pairs', '0'];

test('compares the embedded model: plan, table, JSON and page', async () => {
  const folder = scratch.path('out');
  const argv = [...SMALL, '--methods', 'fewer-steps,uniform', '--out', folder];
  const { out, err } = await compared(...argv);
  expect(err).toMatch(
    /Comparing 2 methods at 3 of 6 steps on 2 pairs, calibrated on 2 others:\nat most 54 forward passes/,
  );
  expect(out).toMatch(/3 of 6 steps computed\nmethod .*Uniform reuse is ahead by, on\nFewer steps +3 /);
  const comparison: Comparison = JSON.parse(readFileSync(`${folder}/comparison.json`, 'utf8'));
  expect(comparison).toMatchObject({ state: 'complete', request: { steps: 6, budgets: [3], against: 'uniform' } });
  expect(comparison.cells.map(c => c.pairs.length)).toEqual([2, 2]);
  expect(readFileSync(`${folder}/index.html`, 'utf8')).toContain('How many of 6 steps does fluent-emoji need?');

  // Repeated, it runs nothing and prints the same; as JSON too.
  const again = await compared(...argv, '--json');
  expect(again.err).not.toContain('forward passes');
  expect(JSON.parse(again.out).cells).toEqual(comparison.cells);
  await expect(compared(...argv, '--guidance', '1')).rejects.toThrow('holds a comparison with another guidance.');
});

test('methods and budgets are added to a comparison; what is there stays, and the sum is that of one command', async () => {
  const folder = scratch.path('grown');
  const read = (at: string): Comparison => JSON.parse(readFileSync(`${at}/comparison.json`, 'utf8'));
  const run = ['--pairs', '2', '--calibration-pairs', '2', '--steps', '6', '--timed-pairs', '0'];
  await compared(...run, '--budgets', '3', '--methods', 'uniform', '--out', folder);
  const before = read(folder);
  const other = compared(...run, '--budgets', '3', '--methods', 'uniform,taylorseer', '--out', folder);
  await expect(other).rejects.toMatchObject({
    message: expect.stringContaining('other methods'),
    hint: expect.stringContaining('--add'),
  });

  const argv = ['--add', '--methods', 'fewer-steps', '--budgets', '4', '--out', folder];
  const { err } = await compared(...argv);
  expect(err).toContain('Continuing 2 methods at 4 and 3 of 6 steps on 2 pairs');
  const grown = read(folder);
  expect(grown).toMatchObject({
    state: 'complete',
    started: before.started,
    request: { methods: ['uniform', 'fewer-steps'], budgets: [4, 3], against: 'uniform' },
  });
  expect(grown.cells[0]).toEqual(before.cells[0]);

  const whole = scratch.path('whole');
  await compared(...run, '--budgets', '3,4', '--methods', 'uniform,fewer-steps', '--out', whole);
  const figures = ({ cells }: Comparison) =>
    cells
      .map(({ method, budget, pairs }) => ({ method, budget, psnr: pairs.map(p => p.floatPsnr) }))
      .sort((a, b) => a.budget - b.budget || a.method.localeCompare(b.method));
  expect(figures(grown)).toEqual(figures(read(whole)));
  expect(grown.methods).toEqual(read(whole).methods);

  // Repeated, it measures nothing and says nothing twice.
  const again = await compared(...argv);
  expect(again.err).not.toContain('forward passes');
  expect(read(folder)).toEqual(grown);
});

test('what cannot be added is refused before anything runs', async () => {
  const folder = scratch.path('refused');
  const nothing = compared('--add', '--methods', 'uniform', '--out', folder);
  await expect(nothing).rejects.toThrow('holds no comparison that could be added to');
  await compared(...SMALL, '--methods', 'uniform', '--out', folder);
  const unsaid = compared('--add', '--out', folder);
  await expect(unsaid).rejects.toThrow('--add says nothing of what to add');
  const settled = compared('--add', '--methods', 'teacache', '--steps', '6', '--out', folder);
  await expect(settled).rejects.toThrow("option '--add' cannot be used with option '--steps <n>'");
  const rows = compared('--add', '--ablation', '--methods', 'hidden-uniform', '--out', folder);
  await expect(rows).rejects.toMatchObject({ hint: 'Omit --ablation.' });
  const more = compared('--add', '--budgets', '6', '--out', folder);
  await expect(more).rejects.toThrow('6 of 6 steps cannot be the computed ones');
  const size = compared('--add', '--budgets', '4', '--negative-prompt', 'red', '--out', folder);
  await expect(size).rejects.toThrow('pictures of another size or type');
});

test('the ablation has its own rows', async () => {
  const rows = 'hidden-uniform,output-policy,output-policy-cycle-linear';
  const { out } = await compared(...SMALL, '--ablation', '--markdown', '--methods', rows, '--out', scratch.path('out'));
  expect(out).toContain('| hidden: uniform |');
  expect(out).toMatch(/\| output: policy \+ timestep \(cycle\) \+ rectification \(linear\) \| [\d.]+ ± [\d.]+ \|/);
  expect(existsSync(scratch.path('out', 'policies', 'output-policy-3.json'))).toBe(true);
});

test('what cannot be compared is refused before anything runs', async () => {
  await expect(compared('--methods', 'uniform,magic')).rejects.toThrow('"magic" is no method that can be compared.');
  await expect(compared('--methods', 'uniform', '--against', 'teacache')).rejects.toThrow(
    'cannot be compared with teacache: it is not among the methods',
  );
  await expect(compared('--budgets', '10,x')).rejects.toThrow(/Give whole numbers such as 15,10,6/);
  await expect(compared('--budgets', '30', '--out', scratch.path('out'))).rejects.toThrow('30 of 30 steps cannot');
});

test('a model without prompts of its own asks for a file of them', async () => {
  const model = resolve(__dirname, '../fixtures/pipelines/flux-tiny/pipeline');
  const work = compared(...SMALL, '--methods', 'uniform', '--model', model, '--out', scratch.path('out'));
  await expect(work).rejects.toMatchObject({
    message: expect.stringContaining('lists no prompts of its own'),
    hint: expect.stringContaining('--prompts'),
  });
});

test('compares published models at a size, and continues only at the same', async () => {
  const prompts = scratch.path('prompts.txt');
  writeFileSync(prompts, 'a fox\na cat\n');
  const folder = scratch.path('sized');
  const argv = [...SMALL, '--methods', 'uniform', '--prompts', prompts, '--height', '32', '--out', folder];
  const model = ['--model', resolve(__dirname, '../fixtures/pipelines/flux-tiny/pipeline'), '--guidance', '2'];
  const { out } = await compared(...argv, ...model, '--width', '48', '--json');
  expect(JSON.parse(out)).toMatchObject({ state: 'complete', request: { picture: { width: 48, height: 32 } } });
  expect(readFileSync(`${folder}/index.html`, 'utf8')).toContain('guidance 2, width 48, height 32');
  const other = compared(...argv, ...model, '--width', '32');
  await expect(other).rejects.toThrow('holds a comparison with pictures of another size or type.');
});

test.each(['', ',', ' , '])('methods of no name, %j, are refused', async methods => {
  await expect(compared(...SMALL, '--methods', methods)).rejects.toThrow('Give names with commas between them');
});
