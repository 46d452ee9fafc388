import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Receipt } from '../../src/draw/receipt';
import { packageRoot } from '../../src/io/package-root';
import { readReceipt } from '../../src/media/receipt';
import { parsePolicy } from '../../src/policy/data';
import { readPolicy } from '../../src/policy/file';
import { policyHash } from '../../src/policy/hash';
import { scratchFolder } from '../media/pictures';
import { command } from '../weights/command';

const scratch = scratchFolder();
const calibrate = (...args: string[]) => command('--backend', 'wasm', 'calibrate', ...args);
const files = (): string[] => readdirSync(scratch.path()).sort();

/** The smallest calibration that there is. */
const QUICK = ['--steps', '4', '--pairs', '1', '--held-out', '1', '--bound-pairs', '0', '--search', 'walk'];

test('writes a policy whole, measured on other prompts, that sample takes', async () => {
  const out = scratch.path('p.json');
  const { code, stdout } = await calibrate(...QUICK, '--guidance', '2', '--rectify', 'lsq', '--out', out);
  expect(code).toBe(0);
  expect(files()).toEqual(['p.json', 'p.safetensors']);
  expect(stdout).toMatch(/^Calibrating fluent-emoji on 1 pairs, 4 steps, guidance 2: at most \d+ forward passes/);
  expect(stdout).toMatch(/^schedule +#[#.]{3} {2}\(2 of 4 computed, 2\.00×\)$/m);
  expect(stdout).toMatch(
    /^held out +[\d.]+ % below 40 dB, [\d.]+ % below 30 dB, 10 % quantile [\d.]+ dB, PSNR [\d.]+ dB \(worst [\d.]+; in floats [\d.]+\), SSIM [\d.]+, 1 pairs$/m,
  );
  expect(stdout).toContain(`wrote ${out}\n`);

  const policy = await readPolicy(out);
  const { data } = policy;
  expect(data).toMatchObject({ guidance: 2, rectify: { form: 'lsq' }, calibration: { pairs: [{ seed: 2 ** 30 }] } });
  expect([data.measured.calibration?.pairs, data.measured.heldOut?.pairs]).toEqual([1, 1]);

  const run = ['--policy', out, '--steps', '4', '--guidance', '2', '--out', scratch.path('a.png')];
  const sampled = await command('--backend', 'wasm', 'sample', 'lion', ...run);
  expect(sampled.code).toBe(0);
  const receipt = (await readReceipt(scratch.path('a.png'))) as Receipt;
  expect(receipt).toMatchObject({ schedule: data.schedule, forwards: 2, policy: { name: 'ertacache', path: out } });
  expect(receipt.policy?.hash).toBe(policyHash(policy));
});

test('finds what pictures keep at least, which sample, its receipt and a policy shows', async () => {
  const out = scratch.path('p.json');
  const few = ['--rectify', 'off', '--bound-pairs', '9', '--out', out];
  expect(await calibrate(...QUICK, ...few)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^bound +≥ [\d.]+ dB with 50 %, .*[\d.]+ dB with 90 % confidence, by 9 pairs$/m),
  });
  const { bound } = (await readPolicy(out)).data;
  expect(bound).toMatchObject({ pairs: 9, shape: [64, 192] });
  const run = ['--policy', out, '--steps', '4', '--out', scratch.path('a.png')];
  const sampled = await command('--backend', 'wasm', 'sample', 'lion', ...run);
  expect(sampled.stdout).toMatch(/ forwards, [\d.]+ s, ≥ [\d.]+ dB with 90 % confidence\n$/);
  const receipt = (await readReceipt(scratch.path('a.png'))) as Receipt;
  const least = bound?.all.find(({ confidence }) => confidence === 0.9)?.dB as number;
  expect(receipt.bound).toEqual({ psnr: Math.floor(least * 10) / 10, confidence: 0.9 });
  const unlike = await command('--backend', 'wasm', 'sample', '', ...run);
  expect(unlike.stdout).toMatch(/ s, no bound\n$/);
  expect((await command('policy', 'show', out)).stdout).toMatch(/^bound +≥ /m);

  const more = await command('--backend', 'wasm', 'policy', 'bound', out, '--pairs', '10');
  expect(more).toMatchObject({ code: 0, stdout: expect.stringContaining('confidence, by 10 pairs') });
  expect((await readPolicy(out)).data.bound?.pairs).toBe(10);
  const least9 = await command('policy', 'bound', out, '--pairs', '8');
  expect(least9).toMatchObject({ code: 2, stderr: expect.stringContaining('8 pairs give no bound') });
}, 240_000);

test('takes prompts from a file, one a line, and leaves its comments out', async () => {
  writeFileSync(scratch.path('prompts.txt'), '# two animals\r\nlion\r\n\r\n  zebra  \n');
  const out = scratch.path('p.json');
  const own = ['--prompts', scratch.path('prompts.txt'), '--rectify', 'off', '--name', 'mine', '--out', out];
  const { code } = await calibrate(...QUICK, ...own);
  expect(code).toBe(0);
  const data = parsePolicy(JSON.parse(readFileSync(out, 'utf8')), out);
  expect(['lion', 'zebra']).toContain(data.calibration.pairs[0]!.prompt);
  expect(data.name).toBe('mine');
  expect(files()).toEqual(['p.json', 'prompts.txt']);
});

test('a mixture of prompts for a model that no negative prompt steers has none', async () => {
  writeFileSync(scratch.path('prompts.txt'), 'a fox\na lion\na bird\na tree\na house\na boat\n');
  const model = resolve(__dirname, '../fixtures/pipelines/flux-tiny/pipeline');
  const run = ['--model', model, '--width', '32', '--height', '32', '--bound-pairs', '0'];
  const pairs = ['--prompts', scratch.path('prompts.txt'), '--pairs', '5', '--held-out', '1', '--mixture', '1'];
  const out = scratch.path('p.json');
  const form = ['--schedule', '##.#', '--rectify', 'off', '--true-cfg-scale', '3'];
  const made = await calibrate(...run, ...pairs, ...form, '--out', out);
  const note = '--true-cfg-scale does nothing without a --negative-prompt, which may be empty.';
  expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining(note) });
  const { calibration } = (await readPolicy(out)).data;
  expect(calibration.pairs).toHaveLength(5);
  expect(calibration.pairs.every(({ negative }) => negative === undefined)).toBe(true);
}, 240_000);

test('a schedule is drawn with two signs, and nothing else', async () => {
  const { code, stderr } = await calibrate('--schedule', '##,#', '--out', scratch.path('p.json'));
  expect(code).toBe(2);
  expect(stderr).toContain('It must be a # for every step that is computed and a . for every one reused.');
});

describe('writes nothing', () => {
  const out = (): string[] => ['--out', scratch.path('p.json')];

  test.each<[string, string[], number, string]>([
    ['where λ reuses nothing', ['--lambda', '0.0001'], 1, 'λ = 0.0001 reuses no step: every step changes by more.'],
    ['where λ reuses everything', ['--lambda', '1000'], 1, 'λ = 1000 reuses every step but the first.'],
    ['for fewer than four steps', ['--steps', '3'], 2, 'Calibration needs at least 4 steps; 3 were asked for.'],
    ['for a speed-up beyond the steps', ['--target-speedup', '50'], 2, 'A speed-up of 50 leaves 0 of 4 steps'],
    ['for a little more speed-up than steps', ['--target-speedup', '5'], 2, 'A speed-up of 5 leaves 0 of 4 steps'],
    ['for no speed-up', ['--target-speedup', '1'], 2, 'A speed-up of 1 leaves 4 of 4 steps'],
    [
      'for pictures of a size that the model has not',
      ['--width', '65'],
      1,
      'fluent-emoji draws pictures of one size, 64×64.',
    ],
    ['for a model that is not there', ['--model', 'no-such-model'], 1, 'There is no model "no-such-model".'],
    ['for prompts that are not there', ['--prompts', '/nowhere.txt'], 1, '/nowhere.txt does not exist.'],
  ])('%s', async (_, args, exit, message) => {
    const { code, stdout, stderr } = await calibrate(...QUICK, ...args, ...out());
    expect(code).toBe(exit);
    expect(stderr).toContain(`ertacache: ${message}`);
    expect(stderr).not.toMatch(/\n +at /);
    // Only what takes a calibration to find out is found out by one.
    if (exit === 2) expect(stdout).not.toContain('Calibrating');
    expect(files()).toEqual([]);
  });

  test('for a file without prompts, or with one alone', async () => {
    writeFileSync(scratch.path('none.txt'), '# nothing\n');
    writeFileSync(scratch.path('one.txt'), 'lion\nlion\n');
    const none = await calibrate(...QUICK, '--prompts', scratch.path('none.txt'), ...out());
    const one = await calibrate(...QUICK, '--prompts', scratch.path('one.txt'), ...out());
    expect([none.code, one.code]).toEqual([2, 2]);
    expect(none.stderr).toContain('none.txt holds no prompts.');
    expect(one.stderr).toContain('no prompts left for calibration');
    expect(files()).toEqual(['none.txt', 'one.txt']);
  });

  test('for a model that lists no prompts, where none are given', async () => {
    const model = resolve(__dirname, '../fixtures/pipelines/flux-tiny/pipeline');
    const { code, stderr } = await calibrate(...QUICK, '--model', model, ...out());
    expect(code).toBe(2);
    expect(stderr).toMatch(/lists no prompts of its own\.\n.*--prompts/);
    expect(files()).toEqual([]);
  });

  test('under a name that is no .json, and says so before it computes', async () => {
    const { code, stdout, stderr } = await calibrate(...QUICK, '--out', scratch.path('policy'));
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('does not end with .json.');
    expect(stderr).not.toContain('backend:');
  });

  test('halfway: where the name is taken by a folder, nothing half-written stays', async () => {
    mkdirSync(scratch.path('p.json'));
    const { code, stderr } = await calibrate(...QUICK, '--rectify', 'off', ...out());
    expect(code).toBe(1);
    expect(stderr).toMatch(/ertacache: Cannot write .*p\.json: a folder has that name\./);
    expect(files()).toEqual(['p.json']);
  });

  test.each([
    [['--lambda', '0.1', '--target-speedup', '2'], 'cannot be used with'],
    [['--lambda', '0.1', '--search', 'anneal'], '--lambda finds a schedule by the walk, and not by anneal.'],
    [['--site', 'attention'], 'Allowed choices are hidden, output, velocity'],
    [['--timestep', 'on'], 'Allowed choices are off, global, cycle'],
    [['--rectify', 'cubic'], 'Allowed choices are off, linear, sigmoid, lsq'],
    [['--taylor', '2'], 'from 0 to 1'],
    [['--pairs', '0'], 'from 1 to 100000'],
    [['--batch', '0'], 'from 1 to 10000'],
    [['--steps', '1'], 'of a single one, none can be reused'],
    [['--lambda', '-1'], 'must be a number'],
  ])('for %j', async (args, message) => {
    const { code, stderr } = await calibrate(...QUICK, ...args, ...out());
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(files()).toEqual([]);
  });
});

test('a policy is kept when its measuring is interrupted', async () => {
  const out = scratch.path('p.json');
  const many = ['--rectify', 'off', '--held-out', '2000', '--batch', '1', '--out', out];
  const stop = setInterval(() => {
    if (!existsSync(out)) return;
    clearInterval(stop);
    process.emit('SIGINT');
  }, 20);
  const { code, stderr } = await calibrate(...QUICK, ...many).finally(() => clearInterval(stop));
  expect(code).toBe(130);
  expect(stderr).toContain(`Interrupted: ${out} holds the policy, not measured to its end.`);
  const { data } = await readPolicy(out);
  expect(data).toMatchObject({ schedule: expect.stringMatching(/^#/), measured: {} });
});

test('what moves noise levels is refused where they are discrete, before anything is computed', async () => {
  const model = join(packageRoot(), 'test/fixtures/pipelines/cogvideox-tiny/pipeline');
  writeFileSync(scratch.path('prompts.txt'), 'lion\nzebra\n');
  const own = ['--model', model, '--prompts', scratch.path('prompts.txt'), '--timestep', 'cycle'];
  const { code, stderr } = await calibrate(...QUICK, ...own, '--out', scratch.path('p.json'));
  expect(code).not.toBe(0);
  expect(stderr).toContain('discrete times');
  expect(stderr).not.toContain('calibrating');
  expect(files()).toEqual(['prompts.txt']);
});
