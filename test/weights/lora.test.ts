import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../../src/errors';
import { diskFolder } from '../../src/io/disk-folder';
import { memoryFolder } from '../../src/io/folder';
import { familyOf } from '../../src/models/families';
import { loadDenoiser } from '../../src/models/load-denoiser';
import { adapterModules, requireLoras } from '../../src/models/loras';
import { bfloat16Product } from '../../src/nn/bfloat16';
import type { Params } from '../../src/nn/params';
import { openSafetensorsAt, openTensorsAt } from '../../src/weights/disk';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import type { LoraFile } from '../../src/weights/lora/adapter';
import { openMerges } from '../../src/weights/lora/merge';
import { loraAt } from '../../src/weights/lora/on-disk';
import type { ParameterTable } from '../../src/weights/parameters';
import { readPrepared } from '../../src/weights/prepare';
import { scratchFolder } from '../media/pictures';
import { describeOnBackends } from '../support/backends';

const fixtures = join(__dirname, '../fixtures/lora');
const base = join(fixtures, 'flux_base');
const json = <T>(...path: string[]): T => JSON.parse(readFileSync(join(fixtures, ...path), 'utf8')) as T;
const config = json<Record<string, unknown>>('flux_base/config.json');
const flux = familyOf('FluxTransformer2DModel');
const parsed = flux.schema.parse(config);
const table = flux.parameters(parsed);
const wan = familyOf('WanTransformer3DModel');
const wanTable = wan.parameters(wan.schema.parse(json('wan_base/config.json')));

const component = async () => ({
  className: 'FluxTransformer2DModel',
  config,
  source: await openSafetensorsAt(join(base, 'weights.safetensors')),
  where: 'flux_base',
});

const loraOf = (name: string, scale = 1): LoraFile => ({
  folder: diskFolder(join(fixtures, name)),
  file: 'lora.safetensors',
  scale,
});

type Tensors = Readonly<Record<string, readonly [shape: number[], values?: readonly number[]]>>;

/** Values count up where none are given. */
function tensorsOf(tensors: Tensors): Map<string, TensorToWrite> {
  const written = Object.entries(tensors).map(([name, [shape, values]]): [string, TensorToWrite] => {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: size }, (_, i) => values?.[i] ?? ((i % 7) - 3) / 10);
    return [name, { dtype: 'F32', shape, data }];
  });
  return new Map(written);
}

/** A LoRA in memory. */
const lora = (tensors: Tensors, how?: Parameters<typeof loraWith>[1]): LoraFile => loraWith(tensorsOf(tensors), how);

function loraWith(
  tensors: ReadonlyMap<string, TensorToWrite>,
  { scale = 1, metadata = {}, config: beside = '' } = {},
): LoraFile {
  const file = 'adapter_model.safetensors';
  const files = new Map([[file, encodeSafetensors(tensors, metadata)]]);
  if (beside !== '') files.set('adapter_config.json', new TextEncoder().encode(beside));
  return { folder: memoryFolder('memory', files), file, scale };
}

/** One square module and a kernel, for what the golden cases do not have. */
const own: ParameterTable = [
  { name: 'proj.weight', shape: [4, 3], layout: 'matrix' },
  { name: 'proj.bias', shape: [4], layout: 'plain' },
  { name: 'conv.weight', shape: [4, 2, 1, 3], layout: 'conv2d' },
];

const family = { ...flux, keys: undefined, adapterKeys: undefined } as unknown as typeof flux;

/** Zero weights with LoRAs merged, as layers get them. */
async function mergedZeros(
  loras: readonly LoraFile[],
  name: string,
  [known, listing]: readonly [typeof flux, ParameterTable] = [family, own],
): Promise<number[]> {
  await requireLoras(loras, known, listing);
  const merges = await openMerges(loras, adapterModules(known, listing));
  const parameter = listing.find(listed => listed.name === name)!;
  const merge = await merges.of(parameter, async () => tf.zeros([]));
  const { shape, layout } = parameter;
  const laidOut = layout === 'plain' ? shape : [...shape.slice(2), shape[1]!, shape[0]!];
  const made = merge!(tf.zeros([...laidOut]));
  const values = Array.from(await made.data());
  made.dispose();
  await merges.close();
  return values;
}

const product = { 'proj.lora_A.weight': [[2, 3]], 'proj.lora_B.weight': [[4, 2]] } satisfies Tensors;

interface Bad {
  readonly file: string;
  readonly error: string;
  readonly must_mention: string;
}
const bad = json<{ cases: Bad[] }>('bad/cases.json').cases;

describe('files that are refused', () => {
  test.each(bad.map(one => [one.file, one] as const))('%s', async (file, { error, must_mention }) => {
    const given = { folder: diskFolder(join(fixtures, 'bad')), file };
    const done = requireLoras([given], flux, table);
    if (error === 'none') {
      await expect(done).resolves.toMatchObject({
        info: { loras: [{ scale: 1, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }] },
      });
      return;
    }
    const thrown = await done.catch((refusal: unknown) => refusal);
    expect(thrown).toBeInstanceOf(CheckpointError);
    expect(error.split('|')).toContain((thrown as CheckpointError).fault);
    expect((thrown as CheckpointError).message).toContain(must_mention);
    expect(Object.prototype).not.toHaveProperty('lora_down');
  });

  test('two tensors of one role, a file of text encoders only, a scale that is no number, another hash', async () => {
    const twice = { ...product, 'proj.lora_B.default.weight': [[4, 2]] } satisfies Tensors;
    await expect(requireLoras([lora(twice)], family, own)).rejects.toThrow(/both .*lora_B.* and .*lora_B/);
    const texts = { 'lora_te_x.lora_down.weight': [[1, 1]], 'lora_te_x.lora_up.weight': [[1, 1]] } satisfies Tensors;
    await expect(requireLoras([lora(texts)], family, own)).rejects.toThrow(/text encoders only/);
    const scaled = { ...lora(product), scale: Number.NaN };
    await expect(requireLoras([scaled], family, own)).rejects.toMatchObject({ code: 'usage' });
    const other = { ...lora(product), sha256: 'another' };
    await expect(requireLoras([other], family, own)).rejects.toThrow(/no longer the LoRA/);
  });
});

/** Zero has no sign here. */
const fixed = (value: number): string => (value + 0).toFixed(5).replace(/^-(0\.0*)$/, '$1');

describeOnBackends('a LoRA is merged', backend => {
  test('nothing after an error: the base loads as it is', async () => {
    const before = tf.memory().numTensors;
    const loras = [loraOf('flux_kohya'), { folder: diskFolder(join(fixtures, 'bad')), file: 'wrong-out.safetensors' }];
    const model = await component();
    await expect(loadDenoiser(model, { loras })).rejects.toThrow(CheckpointError);
    expect(tf.memory().numTensors).toBe(before);
    await model.source.close();
  });

  test.each(backend === 'native' ? (['float32', 'bfloat16'] as const) : (['float32'] as const))(
    'the same when blocks are streamed, in %s',
    async dtype => {
      const before = tf.memory().numTensors;
      const loras = [loraOf('flux_xlabs', 0.7), loraOf('flux_dora_kohya', -0.3), loraOf('flux_lokr')];
      const whole = await component();
      const resident = await loadDenoiser(whole, { loras, dtype });
      await whole.source.close();
      const streamed = await loadDenoiser(await component(), { loras, dtype, offload: true });
      const values = (params: Params, name: string) => {
        const matrix = params.tensor(name);
        if (dtype === 'float32') return Array.from(matrix.dataSync());
        // bfloat16 is good for products alone.
        const each = tf.eye(matrix.shape[0]!);
        return Array.from(bfloat16Product(each, matrix).dataSync());
      };
      for (const block of flux.blockNames(parsed)) {
        const names = table.flatMap(({ name, layout }) =>
          layout === 'matrix' && name.startsWith(`${block}.`) ? [name.slice(block.length + 1)] : [],
        );
        const read = (name: string) => (params: Params) => tf.tidy(() => values(params, name));
        for (const name of names) {
          const [a, b] = [
            await resident.denoiser.weights.use(block, read(name)),
            await streamed.denoiser.weights.use(block, read(name)),
          ];
          expect(b).toEqual(a);
        }
      }
      resident.denoiser.weights.dispose();
      streamed.denoiser.weights.dispose();
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  test('every dialect of the same update gives the same weights, under any prefix', async () => {
    const source = await openSafetensorsAt(join(base, 'weights.safetensors'));
    const merged = async (loras: readonly LoraFile[]): Promise<number[][]> => {
      const merges = await openMerges(loras, adapterModules(flux, table));
      const all: number[][] = [];
      for (const parameter of table) {
        const made = await readPrepared(source, parameter, { merges });
        all.push(Array.from(await made.data()));
        made.dispose();
      }
      await merges.close();
      return all;
    };
    const [expected, ...others] = await Promise.all(
      ['flux_diffusers', 'flux_peft_metadata', 'flux_kohya', 'flux_bfl', 'flux_onetrainer'].map(name =>
        merged([loraOf(name)]),
      ),
    );
    for (const other of others) {
      for (const [i, values] of other.entries()) {
        expect(Math.max(...values.map((value, j) => Math.abs(value - expected![i]![j]!)))).toBeLessThan(1e-6);
      }
    }
    await source.close();
  });

  test('alpha, patterns, rank-stabilised scales and the scale of the run multiply', async () => {
    const plain = await mergedZeros([lora(product)], 'proj.weight');
    const times = async (by: number, ...given: Parameters<typeof lora>): Promise<void> => {
      const values = await mergedZeros([lora(...given)], 'proj.weight');
      expect(values.map(value => fixed(value))).toEqual(plain.map(value => fixed(by * value)));
    };
    const header = (settings: object) => ({ metadata: { lora_adapter_metadata: JSON.stringify(settings) } });
    await times(-0.5, product, { scale: -0.5 });
    await times(2, { ...product, 'proj.alpha': [[1], [4]] });
    // Trainers write an alpha of 4 as it was given, too: as a whole number.
    for (const [dtype, data] of [
      ['I64', BigInt64Array.of(4n)],
      ['I32', Int32Array.of(4)],
      ['U8', Uint8Array.of(4)],
    ] as const) {
      const tensors = tensorsOf(product).set('proj.alpha', { dtype, shape: [], data });
      const values = await mergedZeros([loraWith(tensors)], 'proj.weight');
      expect(values.map(value => fixed(value))).toEqual(plain.map(value => fixed(2 * value)));
    }
    await times(
      3,
      {
        'base_model.model.proj.lora_A.default.weight': [[2, 3]],
        'base_model.model.proj.lora_B.default.weight': [[4, 2]],
      },
      { config: '{"r": 2, "lora_alpha": 6}' },
    );
    await times(8 / Math.SQRT2, product, header({ 'transformer.lora_alpha': 8, 'transformer.use_rslora': true }));
    await times(5, product, header({ r: 2, lora_alpha: 2, alpha_pattern: { '^other': 7, proj: 10 } }));
    await times(1, product, header({ r: 2, lora_alpha: 2, alpha_pattern: { roj: 10 } }));
    await times(4, product, header({ r: 2, lora_alpha: 2, alpha_pattern: { '.*p.*j': 8 } }));
    await times(2, { ...product, 'proj.alpha': [[], [4]] }, header({ r: 2, lora_alpha: 20 }));
  });

  test('a LoKr of two whole factors: alpha over r of peft, none of LyCORIS', async () => {
    const kron = { 'proj.lokr_w1': [[2, 1]], 'proj.lokr_w2': [[2, 3]] } satisfies Tensors;
    const plain = await mergedZeros([lora(kron)], 'proj.weight');
    const times = async (by: number, ...given: Parameters<typeof lora>): Promise<void> => {
      const values = await mergedZeros([lora(...given)], 'proj.weight');
      expect(values.map(value => fixed(value))).toEqual(plain.map(value => fixed(by * value)));
    };
    const config = (settings: object) => ({ config: JSON.stringify({ peft_type: 'LOKR', ...settings }) });
    await times(4, kron, config({ r: 2, alpha: 8 }));
    await times(2, kron, config({ r: 8, alpha: 8, rank_pattern: { proj: 4 } }));
    await times(3, kron, config({ r: 2, alpha: 8, alpha_pattern: { proj: 6 } }));
    await times(1, kron, config({ alpha: 8 }));
    await times(1, { ...kron, 'proj.alpha': [[], [1e10]] });
  });

  test('a row of zeros stays so under a DoRA', async () => {
    const dora = {
      'proj.lora_A.weight': [
        [1, 3],
        [2, 0, 0],
      ],
      'proj.lora_B.weight': [
        [4, 1],
        [0, 3, -1, 0],
      ],
      'proj.lora_magnitude_vector': [[4], [5, 6, 7, 8]],
    } satisfies Tensors;
    // Laid out: inputs first.
    const expected = [0, 6, -7, 0, ...Array<number>(8).fill(0)].map(value => fixed(value));
    expect((await mergedZeros([lora(dora)], 'proj.weight')).map(value => fixed(value))).toEqual(expected);
  });

  test('several at once are one sum, and give no tensors away', async () => {
    const [one, two] = [lora(product), lora({ ...product, 'proj.diff': [[4, 3]], 'proj.diff_b': [[4]] }, { scale: 2 })];
    const [a, b, both] = [
      await mergedZeros([one], 'proj.weight'),
      await mergedZeros([two], 'proj.weight'),
      await mergedZeros([one, two], 'proj.weight'),
    ];
    expect(both.map(value => fixed(value))).toEqual(a.map((value, i) => fixed(value + b[i]!)));
    expect((await mergedZeros([two], 'proj.bias')).map(value => value.toFixed(4))).toEqual([
      '-0.6000',
      '-0.4000',
      '-0.2000',
      '0.0000',
    ]);
  });

  test('a kernel by low rank, and by a Kronecker product', async () => {
    const down = [1, 2, 3, 4, 5, 6];
    const pair = {
      'conv.lora_down.weight': [[1, 2, 1, 3], down],
      'conv.lora_up.weight': [
        [4, 1, 1, 1],
        [1, 0, 0, -1],
      ],
    } satisfies Tensors;
    // Laid out as [1, 3, in 2, out 4].
    const expected = [1, 4, 2, 5, 3, 6].flatMap(value => [value, 0, 0, -value]);
    expect((await mergedZeros([lora(pair)], 'conv.weight')).map(value => value + 0)).toEqual(expected);
    const kron = {
      'conv.lokr_w1': [
        [2, 1],
        [1, -1],
      ],
      'conv.lokr_w2': [
        [2, 2, 1, 3],
        [...down, 0, 0, 0, 0, 0, 0],
      ],
    } satisfies Tensors;
    const rows = [1, 4, 2, 5, 3, 6].flatMap(value => [value, 0, -value, 0]);
    expect((await mergedZeros([lora(kron)], 'conv.weight')).map(value => value + 0)).toEqual(rows);
  });

  test('norms of columns go through all rows of a fused matrix', async () => {
    const module = 'lora_unet_double_blocks_0_img_attn_qkv';
    const names = ['to_q', 'to_k', 'to_v'].map(name => `transformer_blocks.0.attn.${name}.weight`);
    const given = lora({
      [`${module}.lora_down.weight`]: [[1, 16]],
      [`${module}.lora_up.weight`]: [[48, 1]],
      [`${module}.dora_scale`]: [[1, 16], Array.from({ length: 16 }, (_, i) => 1 + i / 10)],
    });
    const source = await openSafetensorsAt(join(base, 'weights.safetensors'));
    const value = (i: number): number => Math.fround(((i % 7) - 3) / 10);
    const weights = (await Promise.all(names.map(name => source.read(name)))).flatMap(values => [...values]);
    const changed = weights.map((w, i) => w + value(Math.floor(i / 16)) * value(i % 16));
    const norms = Array.from({ length: 16 }, (_, c) =>
      Math.sqrt(changed.reduce((s, v, i) => (i % 16 === c ? s + v * v : s), 0)),
    );
    const expected = changed.map((v, i) => (v * (1 + (i % 16) / 10)) / norms[i % 16]!);
    const before = tf.memory().numTensors;
    const merges = await openMerges([given], adapterModules(flux, table));
    // The norms are made once, from every part of the matrix.
    const read: string[] = [];
    const watched: typeof source = {
      ...source,
      readRaw(name, slice) {
        read.push(name);
        return source.readRaw(name, slice);
      },
    };
    for (const [part, name] of names.entries()) {
      const made = await readPrepared(watched, table.find(parameter => parameter.name === name)!, { merges });
      const turned = tf.transpose(made);
      for (const [i, v] of (await turned.data()).entries()) expect(v).toBeCloseTo(expected[part * 256 + i]!, 5);
      tf.dispose([made, turned]);
    }
    expect(read.sort()).toEqual([...names, ...names].sort());
    expect(tf.memory().numTensors).toBe(before);
    await merges.close();
    await source.close();
  });

  test.each(['gguf_flux_kquants', 'fp8_flux_scaled'])('into %s, whose blocks stay as they are stored', async name => {
    const before = tf.memory().numTensors;
    const folder = join(fixtures, '../quantized', name);
    const described = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
    const file = name.startsWith('gguf') ? 'model.gguf' : 'model.safetensors';
    const source = await openTensorsAt(join(folder, file));
    const component = { className: 'FluxTransformer2DModel', config: described, source, where: name };
    const module = 'transformer_blocks.0.attn.to_k';
    const { shape } = flux.parameters(flux.schema.parse(described)).find(one => one.name === `${module}.weight`)!;
    const given = lora({
      [`${module}.lora_A.weight`]: [[1, shape[1]!]],
      [`${module}.lora_B.weight`]: [[shape[0]!, 1]],
    });
    const read = async (loras: readonly LoraFile[]): Promise<Float32Array> => {
      const { denoiser } = await loadDenoiser(component, { loras });
      const values = await denoiser.weights.use('transformer_blocks.0', params =>
        params.tensor('attn.to_k.weight').dataSync<'float32'>().slice(),
      );
      denoiser.weights.dispose();
      return values;
    };
    const [plain, merged] = [await read([]), await read([given])];
    const value = (i: number): number => ((i % 7) - 3) / 10;
    // Laid out: inputs first.
    for (const [i, v] of merged.entries()) {
      expect(v).toBeCloseTo(plain[i]! + value(Math.floor(i / shape[0]!)) * value(i % shape[0]!), 5);
    }
    await source.close();
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(['gguf_flux_kquants', 'fp8_flux_scaled'])(
    'norms of columns go through a fused matrix of %s that is held in memory, its file closed',
    async name => {
      const before = tf.memory().numTensors;
      const folder = join(fixtures, '../quantized', name);
      const described = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
      const file = name.startsWith('gguf') ? 'model.gguf' : 'model.safetensors';
      const names = ['to_q', 'to_k', 'to_v'].map(part => `attn.${part}.weight`);
      const wanted = flux.parameters(flux.schema.parse(described));
      const [rows, columns] = wanted.find(one => one.name === `transformer_blocks.0.${names[0]}`)!.shape as [
        number,
        number,
      ];
      const module = 'lora_unet_double_blocks_0_img_attn_qkv';
      const given = lora({
        [`${module}.lora_down.weight`]: [[1, columns]],
        [`${module}.lora_up.weight`]: [[3 * rows, 1]],
        [`${module}.dora_scale`]: [[1, columns], Array.from({ length: columns }, (_, i) => 1 + i / 10)],
      });
      const read = async (offload: boolean): Promise<Float32Array[]> => {
        const source = await openTensorsAt(join(folder, file));
        const component = { className: 'FluxTransformer2DModel', config: described, source, where: name };
        const { denoiser } = await loadDenoiser(component, { loras: [given], offload });
        if (!offload) await source.close();
        const values = await denoiser.weights.use('transformer_blocks.0', params =>
          names.map(part => params.tensor(part).dataSync<'float32'>().slice()),
        );
        denoiser.weights.dispose();
        return values;
      };
      expect(await read(false)).toEqual(await read(true));
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  test('into Wan, as LightX2V, VideoX-Fun and DiffSynth name its modules', async () => {
    const shapeOf = (name: string): number[] => [...wanTable.find(listed => listed.name === name)!.shape];
    const merged = (tensors: Tensors, name: string) => mergedZeros([lora(tensors)], name, [wan, wanTable]);
    const value = (i: number): string => fixed(((i % 7) - 3) / 10);
    for (const [theirs, ours] of [
      ['diffusion_model.blocks.0.diff_m', 'blocks.0.scale_shift_table'],
      ['diffusion_model.head.diff_m', 'scale_shift_table'],
      ['lora_unet_blocks_1.diff_m', 'blocks.1.scale_shift_table'],
    ] as const) {
      const values = await merged({ [theirs]: [shapeOf(ours)] }, ours);
      expect(values.map(fixed)).toEqual(values.map((_, i) => value(i)));
      expect(Math.max(...values)).toBeGreaterThan(0);
    }
    const ours = 'blocks.0.attn2.to_k.weight';
    const [rows = 1, columns = 1] = shapeOf(ours);
    const pair = (module: string, down: string, up: string): Tensors => ({
      [`${module}.${down}.weight`]: [[1, columns]],
      [`${module}.${up}.weight`]: [[rows, 1]],
    });
    const expected = await merged(pair('diffusion_model.blocks.0.cross_attn.k', 'lora_A', 'lora_B'), ours);
    for (const tensors of [
      pair('lora_unet__blocks_0_cross_attn_k', 'lora_down', 'lora_up'),
      pair('lora_unet__orig_mod_blocks_0_cross_attn_k', 'lora_down', 'lora_up'),
      pair('pipe.dit.blocks.0.cross_attn.k', 'lora_A.default', 'lora_B.default'),
    ]) {
      expect(await merged(tensors, ours)).toEqual(expected);
    }
  });

  test('Wan names do not take those of other families', async () => {
    const theirs = {
      'transformer.transformer_blocks.0.attn1.to_q.lora_A.weight': [[1, 16]],
      'transformer.transformer_blocks.0.attn1.to_q.lora_B.weight': [[16, 1]],
    } satisfies Tensors;
    await expect(requireLoras([lora(theirs)], wan, wanTable)).rejects.toMatchObject({ fault: 'unexpected_key' });
  });
});

describe('on disk', () => {
  const scratch = scratchFolder();

  test('one that changes after it was checked is not merged, nor with other settings of peft', async () => {
    const folder = scratch.path('changing');
    mkdirSync(folder);
    const write = (shape: number[], config: object): void => {
      const tensors = tensorsOf({ 'proj.lora_A.weight': [[shape[0]!, 3]], 'proj.lora_B.weight': [[4, shape[0]!]] });
      writeFileSync(join(folder, 'adapter_model.safetensors'), encodeSafetensors(tensors));
      writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(config));
    };
    const modules = adapterModules(family, own);
    write([2], { r: 2, lora_alpha: 2 });
    const { files } = await requireLoras([await loraAt({ path: folder })], family, own);
    await (await openMerges(files, modules)).close();
    writeFileSync(join(folder, 'adapter_config.json'), '{"r": 2, "lora_alpha": 4}');
    const changed = { code: 'usage', message: expect.stringContaining('was changed since the model was opened') };
    await expect(openMerges(files, modules)).rejects.toMatchObject(changed);
    write([3], { r: 2, lora_alpha: 2 });
    await expect(openMerges(files, modules)).rejects.toMatchObject(changed);
  });

  test('a file, a folder of one, and nothing there', async () => {
    expect(await loraAt({ path: join(fixtures, 'flux_bfl/lora.safetensors'), scale: 2 })).toMatchObject({
      file: 'lora.safetensors',
      scale: 2,
    });
    await expect(loraAt({ path: join(fixtures, 'flux_two') })).rejects.toThrow(/3 \.safetensors files/);
    await expect(loraAt({ path: join(fixtures, 'none') })).rejects.toMatchObject({ code: 'io' });
  });
});
