import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { CaseReport } from '../../src/lab/verify/verify';
import { scratchFolder } from '../media/pictures';
import { describeOnBackends, usableBackends } from '../support/backends';
import { command } from '../weights/command';

const scratch = scratchFolder();
const fixtures = resolve(__dirname, '../fixtures');
const flux = readdirSync(join(fixtures, 'transformers')).filter(name => name.startsWith('flux_'));
const euler = readdirSync(join(fixtures, 'schedulers')).filter(name => name.startsWith('flow_euler_'));
const cases = [...flux.map(n => `transformers/${n}`), ...euler.map(n => `schedulers/${n}`)];

/** Where tests run that are not about the backend. */
const anywhere = usableBackends().at(-1) as string;
const verify = (...args: string[]) => command('--backend', anywhere, 'verify', ...args);

/** A copy of a golden case in a folder of its group. */
function copied(name: string, as = name): string {
  const to = scratch.path(as);
  cpSync(join(fixtures, name), to, { recursive: true });
  return to;
}

/** Adds `by` to one expected value of a case. */
function perturb(folder: string, tensor: string, index: number, by: number): void {
  const path = join(folder, 'io.safetensors');
  const bytes = readFileSync(path);
  const header = Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.toString('utf8', 8, 8 + header)) as Record<string, { data_offsets: number[] }>;
  const at = 8 + header + entries[tensor]!.data_offsets[0]! + 4 * index;
  bytes.writeFloatLE(bytes.readFloatLE(at) + by, at);
  writeFileSync(path, bytes);
}

describeOnBackends('verify', backend => {
  test('passes every case of FLUX and of its sampler, output by output', async () => {
    const paths = cases.map(name => join(fixtures, name));
    const { code, stdout } = await command('--backend', backend, 'verify', ...paths);
    expect(stdout).not.toContain('MISS');
    expect(code).toBe(0);
    for (const name of cases) expect(stdout).toMatch(new RegExp(`^${name}$`, 'm'));
    const checked = [...stdout.matchAll(/^ {2}checked (\d+) of (\d+) outputs$/gm)];
    expect(checked).toHaveLength(cases.length);
    for (const [, done, expected] of checked) expect(done).toBe(expected);
    expect(stdout).toContain(`${cases.length} of ${cases.length} cases passed`);
  });

  test('fails a case with one perturbed value, and names the output', async () => {
    const folder = copied('transformers/flux_guidance');
    // Far above the tolerance of 1e-4, far below what a wrong layer would do.
    perturb(folder, 'out.sample', 3, 0.01);
    const { code, stdout } = await command('--backend', backend, 'verify', folder);
    expect(code).toBe(1);
    expect(stdout.match(/^.*MISS.*$/gm)).toEqual([expect.stringMatching(/MISS sample +max abs error 1\.0\de-2/)]);
    expect(stdout).toContain('0 of 1 cases passed');
  });
});

describe('verify', () => {
  test('finds cases below a folder, in order, and prints JSON of the same', async () => {
    copied('schedulers/flow_euler_static3');
    copied('schedulers/flow_euler_dev_28');
    perturb(scratch.path('schedulers/flow_euler_static3'), 'out.sample', 0, 0.5);
    const { code, stdout } = await verify('--json', scratch.path());
    expect(code).toBe(1);
    const reports = JSON.parse(stdout) as CaseReport[];
    expect(reports.map(r => [relative(scratch.path(), r.folder), r.passed])).toEqual([
      ['schedulers/flow_euler_dev_28', true],
      ['schedulers/flow_euler_static3', false],
    ]);
    const [good, bad] = reports as [CaseReport, CaseReport];
    expect(good.checked).toBe(good.expected);
    expect(bad.comparisons.filter(c => !c.passed).map(c => c.name)).toEqual(['sample']);
    expect(bad.comparisons.find(c => c.name === 'sample')!.error).toBeCloseTo(0.5, 3);
  });

  test('ends with 2 on a kind of case that it cannot run, and says which it can; other cases run all the same', async () => {
    copied('schedulers/flow_euler_static3');
    const odd = copied('schedulers/flow_euler_static3', 'odd');
    const file = join(odd, 'case.json');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), group: 'sculptures' }));
    const { code, stdout } = await verify(scratch.path());
    expect(code).toBe(2);
    expect(stdout).toContain('Cases of the kind "sculptures" cannot be run.');
    expect(stdout).toContain('1 of 2 cases passed');
  });

  test.each(['constructor', 'toString', '__proto__'])('takes no kind called %s', async group => {
    const odd = copied('schedulers/flow_euler_static3', 'odd');
    writeFileSync(join(odd, 'case.json'), `{"group": "${group}"}`);
    const { code, stdout } = await verify(odd);
    expect([code, stdout]).toEqual([2, expect.stringContaining('cannot be run')]);
  });

  test('ends with 2 on a class that there is not, an input that is missing and a broken description', async () => {
    const folder = copied('schedulers/flow_euler_static3');
    const file = join(folder, 'case.json');
    const good = JSON.parse(readFileSync(file, 'utf8')) as object;
    const outcome = async (text: string) => {
      writeFileSync(file, text);
      return verify(folder);
    };
    const results = [
      await outcome(JSON.stringify({ ...good, class: 'NoSuchScheduler' })),
      await outcome('{"group": '),
      await outcome(JSON.stringify(good)).then(() => {
        writeFileSync(join(folder, 'io.safetensors'), 'not tensors');
        return verify(folder);
      }),
    ];
    expect(results.map(r => r.code)).toEqual([2, 2, 2]);
    expect(results.map(r => r.stdout)).toEqual([
      expect.stringContaining('The sampler "NoSuchScheduler" is not one that ertacache runs.'),
      expect.stringContaining('case.json is not valid JSON.'),
      expect.stringContaining('io.safetensors'),
    ]);
    for (const { stderr } of results) expect(stderr).toMatch(/^backend: [^\n]*\n$/);
  });

  test('runs the other cases where one fails in a way that nobody foresaw', async () => {
    copied('schedulers/flow_euler_static3', 'b');
    writeFileSync(join(copied('schedulers/flow_euler_static3', 'a'), 'case.json'), 'null');
    const { code, stdout } = await verify(scratch.path());
    expect(code).toBe(2);
    expect(stdout).toContain('unexpected failure');
    expect(stdout).toContain('1 of 2 cases passed');
  });

  test('fails an empty folder and one that is not there: comparing nothing is no success', async () => {
    mkdirSync(scratch.path('empty'));
    for (const folder of [scratch.path('empty'), scratch.path('none')]) {
      const { code, stdout, stderr } = await verify(folder);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(`There is no golden case in ${folder}.`);
    }
  });

  test('fails a case that expects nothing that can be made', async () => {
    const folder = copied('schedulers/flow_euler_static3');
    const path = join(folder, 'io.safetensors');
    // Same lengths, so that the offsets still hold.
    const bytes = readFileSync(path).toString('latin1').replaceAll('"out.', '"nix.');
    writeFileSync(path, bytes, 'latin1');
    const { code, stdout } = await verify(folder);
    expect(code).toBe(1);
    expect(stdout).toContain('checked 0 of 0 outputs');
    expect(stdout).toContain('0 of 1 cases passed');
  });
});

describeOnBackends(
  'verify in bfloat16',
  backend => {
    const bfloat16 = (...paths: string[]) => command('--backend', backend, 'verify', '--dtype', 'bfloat16', ...paths);

    test('measures the relative RMS error of transformers, and of nothing else', async () => {
      const { code, stdout } = await bfloat16(...flux.map(name => join(fixtures, 'transformers', name)));
      expect(stdout).not.toContain('MISS');
      expect(stdout).toMatch(/ok {3}sample +relative RMS [1-9]\.\d+e-3 {2}tolerance 2\.00e-2/);
      expect(code).toBe(0);
      const other = await bfloat16(join(fixtures, 'schedulers', euler[0]!));
      expect(other.stdout).toContain('"schedulers" are not run in bfloat16');
      expect(other.code).toBe(2);
    });

    test('misses a wrong output', async () => {
      const folder = copied(`transformers/${flux[0]}`);
      perturb(folder, 'out.sample', 0, 10);
      const { code, stdout } = await bfloat16(folder);
      expect(stdout).toMatch(/MISS sample/);
      expect(code).toBe(1);
    });
  },
  ['native'],
);
