import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CheckpointError } from '../../src/errors';
import { memoryFile } from '../../src/io/byte-file';
import { parseConfig } from '../../src/io/parse-config';
import { produceForward } from '../../src/lab/verify/transformers';
import { familyOf } from '../../src/models/families';
import { chromaKeys } from '../../src/models/flux/chroma/keys';
import { fluxKeys } from '../../src/models/flux/keys';
import { withKnownNames } from '../../src/models/known-names';
import { knownTables } from '../../src/models/known-tables';
import { preset } from '../../src/models/presets';
import { wanKeys } from '../../src/models/wan/keys';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { originsOf } from '../../src/weights/key-layout';
import { loadStore } from '../../src/weights/load';
import type { ModelComponent } from '../../src/weights/model-folder';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import { goldenCase, outcome } from '../models/golden';
import { describeOnBackends } from '../support/backends';
import { type GoldenTensor, readGoldenTensors } from '../support/golden';
import { command } from './command';
import { asOriginalChroma, asOriginalFlux, asOriginalWan } from './original-names';

type Config = Record<string, number> & { _class_name: string };

const samples = [
  ['flux_guidance', fluxKeys],
  ['flux_noguidance_nonsquare', fluxKeys],
  ['chroma_square', chromaKeys],
  ['wan_square', wanKeys],
  ['wan_video_nonsquare', wanKeys],
] as const;

function originalOf(config: Config, ours: ReadonlyMap<string, GoldenTensor>): Map<string, GoldenTensor> {
  const [doubles, singles] = [config.num_layers!, config.num_single_layers!];
  switch (config._class_name) {
    case 'FluxTransformer2DModel':
      return asOriginalFlux(ours, doubles, singles);
    case 'ChromaTransformer2DModel':
      return asOriginalChroma(ours, config.approximator_layers!, doubles, singles);
    default:
      return asOriginalWan(ours, doubles);
  }
}

/** A golden case's weights in both layouts. */
function layouts(name: string) {
  const golden = goldenCase('transformers', name);
  const config = golden.config as Config;
  const ours = readGoldenTensors(join(golden.folder, 'weights.safetensors'));
  return { golden, config, ours, theirs: originalOf(config, ours) };
}

async function componentOf(tensors: ReadonlyMap<string, GoldenTensor>, config: Config): Promise<ModelComponent> {
  const written = [...tensors].map(([name, value]): [string, TensorToWrite] => [name, { dtype: 'F32', ...value }]);
  const source = await safetensorsSource(memoryFile('original', encodeSafetensors(new Map(written))));
  return { className: config._class_name, config, source, where: 'the original' };
}

describe.each(samples)('%s under its original names', (name, layout) => {
  test('every original tensor is used once, every parameter is found, and all values are the same', async () => {
    const { config, ours, theirs } = layouts(name);
    const table = knownTables(config._class_name, config)!;
    const origins = [...originsOf(table, layout).values()];
    expect(new Set(origins.map(origin => origin.name))).toEqual(new Set(theirs.keys()));
    const used = new Map([...theirs].map(([original, { shape }]) => [original, new Array<number>(shape[0]!).fill(0)]));
    for (const { name: original, rows } of origins) {
      for (const [first, end] of rows) for (let row = first; row < end; row++) used.get(original)![row]!++;
    }
    expect([...used.values()].flat().every(count => count === 1)).toBe(true);

    const { source } = withKnownNames(await componentOf(theirs, config), knownTables);
    expect(source.names).toEqual([...ours.keys()].sort());
    expect(source.names).toEqual(table.map(parameter => parameter.name).sort());
    for (const [parameter, { shape, data }] of ours) {
      const size = data.length;
      expect(source.entry(parameter)).toMatchObject({ shape, size, bytes: 4 * size, dtype: 'F32' });
      expect(await source.read(parameter)).toEqual(data);
      const slice = { start: Math.floor(size / 3), count: Math.ceil(size / 2) };
      expect(await source.read(parameter, slice)).toEqual(data.slice(slice.start, slice.start + slice.count));
    }
  });

  describeOnBackends('the forward pass', () => {
    test('is that of the reference', async () => {
      const { golden, config, theirs } = layouts(name);
      const known = familyOf(config._class_name);
      const parsed = parseConfig(known.schema, config, 'config.json');
      const { source } = withKnownNames(await componentOf(theirs, config), knownTables);
      const weights = await loadStore(source, known.parameters(parsed), { blocks: known.blockNames(parsed) });
      const { missing, ratios } = await outcome(golden, (_, produce) =>
        produceForward(golden, known.create(parsed, weights), produce),
      );
      weights.dispose();
      expect(missing).toEqual([]);
      expect(ratios.filter(r => !(r.ratio <= 1))).toEqual([]);
    });
  });
});

test.each([
  ['flux-dev', fluxKeys],
  ['flux-schnell', fluxKeys],
  ['chroma1-hd', chromaKeys],
  ['wan2.1-t2v-1.3b', wanKeys],
  ['wan2.1-t2v-14b', wanKeys],
])('%s: every parameter of the published size has a place', (name, layout) => {
  const { transformer } = preset(name);
  const table = knownTables(transformer._class_name, transformer)!;
  expect(originsOf(table, layout).size).toBe(table.length);
});

describe('a checkpoint that is not whole is refused by its own names', () => {
  async function refusal(change: (theirs: Map<string, GoldenTensor>) => void): Promise<CheckpointError> {
    const { config, theirs } = layouts('flux_guidance');
    change(theirs);
    const component = await componentOf(theirs, config);
    const known = familyOf(config._class_name);
    const parsed = parseConfig(known.schema, config, 'config.json');
    try {
      const { source } = withKnownNames(component, knownTables);
      (await loadStore(source, known.parameters(parsed))).dispose();
    } catch (error) {
      if (error instanceof CheckpointError) return error;
      throw error;
    }
    throw new Error('it was taken');
  }

  test('a missing tensor', async () => {
    const error = await refusal(theirs => theirs.delete('double_blocks.1.txt_attn.qkv.bias'));
    expect(error.fault).toBe('missing_key');
    expect(error.message).toContain('double_blocks.1.txt_attn.qkv.bias');
  });

  test('a fused tensor of too many rows', async () => {
    const error = await refusal(theirs => {
      const { shape, data } = theirs.get('single_blocks.0.linear1.bias')!;
      theirs.set('single_blocks.0.linear1.bias', { shape: [shape[0]! + 1], data: Float32Array.from([...data, 1]) });
    });
    expect(error).toMatchObject({ fault: 'shape_mismatch', message: expect.stringContaining('linear1.bias') });
  });

  test('a tensor that the model does not take', async () => {
    const error = await refusal(theirs => theirs.set('lora_A', { shape: [1], data: Float32Array.of(1) }));
    expect(error).toMatchObject({ fault: 'unexpected_key', message: expect.stringContaining('lora_A') });
  });
});

describe('on the command line', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ertacache-names-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test("a folder of Wan's authors, its own config.json included, is checked and converted", async () => {
    const { config, theirs } = layouts('wan_square');
    const original = {
      _class_name: 'WanModel',
      model_type: 't2v',
      dim: 32,
      num_heads: 2,
      num_layers: config.num_layers,
      in_dim: 4,
      out_dim: 4,
      ffn_dim: config.ffn_dim,
      freq_dim: config.freq_dim,
      text_dim: config.text_dim,
      text_len: 512,
      eps: 1e-6,
    };
    const written = [...theirs].map(([name, value]): [string, TensorToWrite] => [name, { dtype: 'F32', ...value }]);
    await writeFile(join(folder, 'diffusion_pytorch_model.safetensors'), encodeSafetensors(new Map(written)));
    await writeFile(join(folder, 'config.json'), JSON.stringify(original));
    const info = await command('info', folder, '--json');
    expect(info).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(info.stdout).components[0].className).toBe('WanTransformer3DModel');
    const out = join(folder, 'converted');
    expect(await command('convert', folder, out, '--dtype', 'float32')).toMatchObject({ code: 0, stderr: '' });
    const converted = JSON.parse((await command('info', out, '--json')).stdout);
    expect(converted.components[0].className).toBe('WanTransformer3DModel');

    await writeFile(join(folder, 'config.json'), JSON.stringify({ ...original, model_type: 'i2v' }));
    expect(await command('info', folder)).toMatchObject({ code: 1, stderr: expect.stringContaining('"i2v"') });
  });
});
