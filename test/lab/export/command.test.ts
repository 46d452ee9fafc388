import promises, { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { altered } from '../../pipelines/altered';
import { command } from '../../weights/command';

const fixtures = join(__dirname, '../../fixtures');
const wan = join(fixtures, 'transformers/wan_square/weights.safetensors');

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ertacache-export-'));
});
afterEach(() => rm(scratch, { recursive: true }));

interface ModelJson {
  format: string;
  modelTopology: { node: { name: string; op: string }[] };
  signature: { inputs: object; outputs: object };
  weightsManifest: { weights: { name: string; quantization?: { dtype: string } }[] }[];
}
const readModel = async (folder: string) => JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as ModelJson;

test('export writes a graph whose weights have their own names, in the type that was asked for', async () => {
  const out = join(scratch, 'out');
  expect(await command('export', wan, out, '--split', '--dtype', 'float16')).toMatchObject({ code: 0 });
  const { format, modelTopology, signature, weightsManifest } = await readModel(out);
  expect(format).toBe('graph-model');
  expect(Object.keys(signature.inputs)).toEqual(['sample', 'timestep', 'encoder_hidden_states', 'embed', 'blocks']);
  expect(Object.keys(signature.outputs)).toEqual(['embed', 'blocks', 'output']);
  const [weights, constants] = weightsManifest.map(group => group.weights);
  expect(weights!.every(w => w.quantization?.dtype === 'float16')).toBe(true);
  expect(weights!.map(w => w.name)).toContain('model/blocks.0.attn1.to_q.weight');
  const held = new Set([...weights!, ...constants!].map(w => w.name));
  expect(modelTopology.node.filter(n => n.op === 'Const' && !held.has(n.name))).toEqual([]);
  expect(await command('info', out)).toMatchObject({ code: 0 });
});

test('of two transformers the first is written, with a word on the second', async () => {
  const model = altered('wan-tiny', {
    'model_index.json': { transformer_2: ['diffusers', 'WanTransformer3DModel'], boundary_ratio: 0.875 },
  });
  const second = join(model, 'transformer_2');
  await cp(join(model, 'transformer'), second, { recursive: true });
  const told = jest.spyOn(console, 'warn').mockImplementation(() => {});
  expect(await command('export', model, join(scratch, 'out'))).toMatchObject({ code: 0 });
  expect(told.mock.calls).toEqual([
    [
      `${model} has 2 transformers, and transformer is written. To export transformer_2, give its own folder: ${second}.`,
    ],
  ]);
  expect(await command('export', second, join(scratch, 'second'))).toMatchObject({ code: 0 });
  expect(told).toHaveBeenCalledTimes(1);
  told.mockRestore();
});

test('what is there already stays, unless --force says so', async () => {
  const out = join(scratch, 'out');
  await mkdir(out);
  await writeFile(join(out, 'mine.txt'), 'mine');
  expect(await command('export', wan, out)).toMatchObject({ code: 2, stderr: expect.stringContaining('is not empty') });
  expect(await readdir(out)).toEqual(['mine.txt']);
  expect(await readdir(scratch)).toEqual(['out']);
  await rm(join(out, 'mine.txt'));
  expect(await command('export', wan, out)).toMatchObject({ code: 0 });
  expect(await command('export', wan, out)).toMatchObject({ code: 2 });
  expect(await command('export', wan, out, '--split', '--force')).toMatchObject({ code: 0 });
});

test.each([
  ['a model that is not there', 'no-such-model', 'There is no model "no-such-model"'],
  ['a model without a transformer', join(fixtures, 'vaes/wan/weights.safetensors'), 'holds no transformer'],
])('%s is refused in one sentence, and nothing is written', async (_, model, message) => {
  const { code, stderr } = await command('export', model, join(scratch, 'out'));
  expect(code).toBe(1);
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(await readdir(scratch)).toEqual([]);
});

test('a full disk is told before anything is written', async () => {
  const statfs = jest.spyOn(promises, 'statfs').mockResolvedValue({ bavail: 10, bsize: 512 } as never);
  const { code, stderr } = await command('export', wan, join(scratch, 'out'));
  statfs.mockRestore();
  expect(code).toBe(1);
  expect(stderr).toMatch(/takes \d+ bytes, but the disk of .* has 5120 left/);
  expect(await readdir(scratch)).toEqual([]);
});

test('an unknown type of values is refused', async () => {
  expect(await command('export', wan, join(scratch, 'out'), '--dtype', 'float8')).toMatchObject({ code: 2 });
});
