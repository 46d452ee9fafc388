import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import type { GoldenTensor } from '../../src/lab/verify/golden-case';
import { dense } from '../../src/media/pixels';
import { readMedia } from '../../src/media/read';
import { plain } from '../lab/export/support';
import { countedFlops } from '../models/counted-flops';
import { run as forwardOf } from '../models/support';
import { describeOnBackends } from '../support/backends';
import { commandOf, type Outcome } from '../weights/command';
import { commandLines } from './command-line';
import { type CopiedSources, copiedSources } from './copied-sources';
import { placedBlocks, snippets } from './pages';
import {
  completeCheckpoint,
  goldenInputs,
  perturbGolden,
  recordGolden,
  TINY,
  type Tiny,
  tinyModel,
} from './tiny-model';

const page = 'add-a-model';
const index = 'src/models/tiny/index.ts';
const list = 'src/models/families.ts';
/** Rooms that the page fills and that may be left out. */
const optional = ['synthetic'];

let copy: CopiedSources;
beforeAll(() => {
  copy = copiedSources(page);
  for (const { path, text } of placedBlocks(page, 'file')) copy.write(path, text);
  const [line] = placedBlocks(page, 'line');
  expect(line!.path).toBe(list);
  copy.replace(list, "import { wan } from './wan';\n", `${line!.text}import { wan } from './wan';\n`);
  copy.replace(list, '] as const satisfies', ', tiny] as const satisfies');
});
afterAll(() => copy.remove());

/** The rooms that the page's index fills, each with the text that fills it. */
function filledRooms(): { name: string; text: string }[] {
  const file = readFileSync(copy.path(index), 'utf8');
  const rooms = /^export const tiny = family\(\{\n(.*)^\}\);\n/ms.exec(file)![1]!;
  return [...rooms.matchAll(/^ {2}(\w+):.*\n(?:(?: {3,}| {2}[\]}]).*\n)*/gm)].map(([text, name]) => ({
    name: name!,
    text,
  }));
}

test('the page is well typed, and no room that is needed can be forgotten', async () => {
  const rooms = filledRooms();
  expect(rooms.length).toBeGreaterThan(14);
  const without = (name: string): string => `src/models/tiny/without-${name}.ts`;
  for (const { name, text } of rooms) {
    copy.write(without(name), readFileSync(copy.path(index), 'utf8').replace(text, ''));
  }
  const errors = (await copy.typeErrors(['src/cli.ts', ...rooms.map(room => without(room.name))])).split(/\n(?=\S)/);
  const inVariants = (error: string): boolean => error.startsWith('src/models/tiny/without-');
  expect(errors.filter(error => !inVariants(error) && error.trim() !== '')).toEqual([]);
  for (const { name } of rooms) {
    const missing = errors.some(
      error => error.startsWith(`${without(name)}(`) && error.includes(`Property '${name}' is missing`),
    );
    expect([name, missing]).toEqual([name, !optional.includes(name)]);
  }
}, 300_000);

/** Runs the page's command line with this command and these words, in the folder that its files are in. */
async function follow(name: string, ...holding: string[]): Promise<Outcome> {
  const lines = snippets()
    .filter(block => block.name.startsWith(`${page}-`) && block.language === 'sh')
    .flatMap(block => commandLines(block.text))
    .filter(line => line[0] === name && holding.every(word => line.includes(word)));
  expect(lines).toHaveLength(1);
  const { run } = copy.load<typeof import('../../src/cli/program')>('cli/program');
  const before = tf.memory().numTensors;
  const home = process.cwd();
  process.chdir(copy.path());
  try {
    return await commandOf(run, ['--backend', 'wasm', ...lines[0]!]);
  } finally {
    process.chdir(home);
    expect(tf.memory().numTensors).toBe(before);
  }
}

describeOnBackends('the family that the page adds', () => {
  let tiny: Tiny;
  let expected: ReadonlyMap<string, GoldenTensor>;
  beforeAll(async () => {
    tiny = tinyModel(copy);
    completeCheckpoint(copy, tiny);
    expected = await recordGolden(copy, tiny);
    copy.write('prompts.txt', 'a red fox\na blue boat\n');
  });
  afterAll(() => tiny.model.weights.dispose());

  test('info says what the checkpoint is and what it needs', async () => {
    const { code, stdout } = await follow('info');
    expect(code).toBe(0);
    expect(stdout).toContain('a pipeline folder (TinyPipeline)');
    expect(stdout).toContain(`to run the ${TINY}:`);
    const { requirements } = copy.load<typeof import('../../src/models/requirements')>('models/requirements');
    const { parameterCount } = copy.load<typeof import('../../src/weights/parameters')>('weights/parameters');
    expect(requirements(TINY, tiny.config)).toMatchObject({
      parameters: parameterCount(tiny.table),
      tokens: 64,
      textTokens: 16,
    });
    expect(() => requirements(TINY, tiny.config, { height: 64 })).toThrow('one size only; 64x32 was asked for.');
  });

  test('its workload counts the operations that it runs', async () => {
    const { known, config, table, model } = tiny;
    const work = known.workload(config, known.usualSize(config));
    const latent = tf.zeros([...work.latent]);
    const encoderHiddenStates = tf.zeros([1, work.textTokens, 32]);
    const counted = await countedFlops(() => forwardOf(model, { encoderHiddenStates }, latent, 500));
    tf.dispose([latent, encoderHiddenStates]);
    const { countFlops } = copy.load<typeof import('../../src/models/flops')>('models/flops');
    expect(countFlops(table, work, known.blockNames(config)).forward).toBe(counted);
  });

  test('it is sampled whole, calibrated, and sampled with its policy', async () => {
    expect(await follow('sample', 'none')).toMatchObject({ code: 0, stdout: expect.stringContaining('4 of 4') });
    const calibrated = await follow('calibrate');
    expect(calibrated).toMatchObject({ code: 0, stdout: expect.stringContaining('wrote policy.json') });
    const cached = await follow('sample', 'policy.json');
    expect(cached).toMatchObject({ code: 0, stdout: expect.stringContaining('2 of 4') });
    const pixels = async (file: string): Promise<number[]> => [...dense((await readMedia(copy.path(file))).pixels)];
    const [whole, spared] = [await pixels('whole.png'), await pixels('cached.png')];
    expect(whole).toHaveLength(32 * 32 * 3);
    expect(new Set(whole).size).toBeGreaterThan(16);
    expect(spared).not.toEqual(whole);
  });

  test('its golden case passes with every output, and fails with one number changed', async () => {
    const names = ['sample', 'context_embed', 'time_embed', 'block_00', 'block_1.attention', 'proj_out'];
    expect([...expected.keys()]).toEqual(expect.arrayContaining(names));
    const good = await follow('verify');
    expect(good.stdout).toContain(`checked ${expected.size} of ${expected.size} outputs`);
    expect(good.code).toBe(0);
    perturbGolden(copy, tiny, 'blocks.1.attn.to_v.bias');
    const bad = await follow('verify');
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(/ok +block_00 /);
    expect(bad.stdout).toMatch(/MISS sample /);
  });

  test('plain TensorFlow.js runs its graph on two rows, with a text of another length', async () => {
    expect(await follow('export')).toMatchObject({ code: 0 });
    const inputs = Object.fromEntries(
      [...goldenInputs].map(([name, { data, shape }]) => [
        name === 'hidden_states' ? 'sample' : name,
        { data: [...data], shape: [...shape] },
      ]),
    );
    const [answer] = plain('wasm', [{ folder: copy.path('my-graph'), calls: [{ inputs, outputs: ['output'] }] }]);
    const output = answer!.results[0]!;
    const { data } = expected.get('sample')!;
    expect(output).toHaveLength(data.length);
    expect(Math.max(...output.map((value, i) => Math.abs(value - data[i]!)))).toBeLessThan(1e-5);
  });

  test('it is timed with made-up weights', async () => {
    const { code, stdout } = await follow('bench');
    expect(code).toBe(0);
    expect(stdout).toContain('32x32: 64 tokens and 16 of text, all 1 block');

    // A family may leave them out, and is then not timed.
    const rooms = tiny.known as { synthetic?: NonNullable<Tiny['known']['synthetic']> };
    const synthetic = rooms.synthetic!;
    delete rooms.synthetic;
    expect(await follow('bench')).toMatchObject({ code: 1, stderr: expect.stringContaining('Tiny has no made-up') });
    rooms.synthetic = synthetic;
  });
}, ['wasm']);
