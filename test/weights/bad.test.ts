import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { CheckpointError } from '../../src/errors';
import { describeModel } from '../../src/weights/describe';
import { openModelAt } from '../../src/weights/disk';
import { ownTables } from '../../src/weights/tables';
import { command } from './command';

interface Case {
  case: string;
  error: string | null;
  must_mention: string;
}

const folder = relative(process.cwd(), join(__dirname, '../fixtures/bad'));
const { cases, good } = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as {
  cases: Case[];
  good: { 'linear.weight': number[][]; 'linear.bias': number[] };
};
const broken = cases.filter(({ error }) => error !== null);
const sound = cases.filter(({ error }) => error === null);

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ertacache-bad-'));
});
afterAll(() => rm(scratch, { recursive: true }));

test('there are 42 broken folders and 2 sound ones', () => {
  expect([broken.length, sound.length]).toEqual([42, 2]);
});

test.each(broken)('$case is refused by the library with $error', async ({ case: name, error, must_mention }) => {
  const inspect = async () => {
    const model = await openModelAt(join(folder, name));
    await describeModel(model, { tableOf: ownTables }).finally(model.close);
  };
  const thrown = await inspect().catch((e: unknown) => e);
  expect(thrown).toBeInstanceOf(CheckpointError);
  const { fault, message, hint } = thrown as CheckpointError;
  expect(error!.split('|')).toContain(fault);
  expect(message).toContain(must_mention);
  expect(message).toMatch(/^[^\n]*\.$/);
  expect(hint).toMatch(/^[^\n]*\.$/);
});

test.each(broken)('$case is refused by the commands, and nothing is written', async ({ case: name, must_mention }) => {
  const info = await command('info', join(folder, name));
  const convert = await command('convert', join(folder, name), join(scratch, 'new/out'));
  for (const { code, stdout, stderr } of [info, convert]) {
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(must_mention);
    expect(stderr).not.toMatch(/unexpected failure|\n\s+at /);
    expect(stderr.trimEnd().split('\n')).toHaveLength(2);
  }
  expect(readdirSync(scratch)).toEqual([]);
});

test.each(sound)('$case loads, and the commands take it', async ({ case: name }) => {
  const model = await openModelAt(join(folder, name));
  const { source } = model.components.get('model')!;
  expect([...(await source.read('linear.weight'))]).toEqual(good['linear.weight'].flat().map(Math.fround));
  expect([...(await source.read('linear.bias'))]).toEqual(good['linear.bias'].map(Math.fround));
  await model.close();

  const info = await command('info', '--json', join(folder, name));
  expect(JSON.parse(info.stdout)).toMatchObject({ tensors: 2, parameters: 16, valuesChecked: true });
  const out = join(scratch, name);
  const convert = await command('convert', join(folder, name), out, '--dtype', 'float32');
  expect(convert).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(join(out, 'model.json'))).toBe(true);
  await rm(out, { recursive: true });
});

test('a key called __proto__ leaves prototypes alone', async () => {
  const model = await openModelAt(join(folder, 'proto-key'));
  expect(model.components.get('model')!.source.has('__proto__')).toBe(true);
  expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  await model.close();
});
