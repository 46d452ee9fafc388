import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { draw, repeat } from '../../src/draw/on-disk';
import { selectBackend } from '../../src/engine/select';
import { memoryFile } from '../../src/io/byte-file';
import { toBytes } from '../../src/media/pixels';
import { openNamed } from '../../src/pipelines/open';
import { openSafetensorsAt } from '../../src/weights/disk';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { componentOf } from '../../src/weights/open-model';
import { unwrapped } from '../../src/weights/prefixes';
import { safetensorsSource } from '../../src/weights/safetensors-source';
import { scratchFolder } from '../media/pictures';
import { command } from '../weights/command';
import { altered } from './altered';
import { ggufOf } from './gguf-of';

const scratch = scratchFolder();
const fixtures = resolve(__dirname, '../fixtures');
const oneFile = join(fixtures, 'quantized/allinone_flux/model.safetensors');
const WEIGHTS = 'diffusion_pytorch_model.safetensors';

jest.setTimeout(120_000);

beforeAll(() => selectBackend('wasm'));

const request = { prompt: 'a red fox', steps: 2, size: { width: 32, height: 32 }, policy: 'none' } as const;

async function pixels(model: string, transformer?: string): Promise<number[]> {
  const before = tf.memory().numTensors;
  const drawn = await draw({ ...request, model, ...(transformer && { transformer: { path: transformer } }) });
  expect(tf.memory().numTensors).toBe(before);
  return [...toBytes(drawn.media)];
}

/** Removes the weights of parts, or whole parts. */
function without(folder: string, parts: readonly string[], whole = false): string {
  for (const part of parts) {
    if (whole) rmSync(join(folder, part), { recursive: true });
    else
      for (const file of readdirSync(join(folder, part))) {
        if (file.endsWith('.safetensors')) rmSync(join(folder, part, file));
      }
  }
  return folder;
}

/** The tensors of a safetensors file as float32, changed and written again. */
async function rewritten(
  path: string,
  change: (name: string, tensor: TensorToWrite) => readonly [string, TensorToWrite],
): Promise<Uint8Array> {
  const source = await openSafetensorsAt(path);
  const written = new Map<string, TensorToWrite>();
  for (const name of source.names) {
    const data = await source.read(name);
    written.set(...change(name, { dtype: 'F32', shape: source.entry(name).shape, data }));
  }
  await source.close();
  return encodeSafetensors(written);
}

/** Every code of E4M3 as a number; the fixtures say that it is the right one. */
const E4M3 = Array.from({ length: 256 }, (_, code) => {
  const [exponent, mantissa] = [(code >> 3) & 15, code & 7];
  return (code & 128 ? -1 : 1) * (exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10));
});
/** A code of the same sign, and larger for a larger number. */
const codeOf = (value: number): number => Math.min(63, Math.round(Math.abs(value) * 64)) | (value < 0 ? 128 : 0);

let plain: number[];
beforeAll(async () => {
  plain = await pixels(altered('flux-tiny'));
});

describe('one file with a whole pipeline', () => {
  test('as the transformer of its folder, and for every part whose weights the folder lacks: the same picture', async () => {
    expect(await pixels(altered('flux-tiny'), oneFile)).toEqual(plain);
    const bare = without(altered('flux-tiny'), ['transformer', 'vae', 'text_encoder', 'text_encoder_2']);
    expect(await pixels(bare, oneFile)).toEqual(plain);
  });

  test('of Wan, whose norms are numbered in another way', async () => {
    const model = altered('wan-tiny');
    const size = { width: 32, height: 32, frames: 5 };
    const given = { ...request, size, model };
    const expected = toBytes((await draw(given)).media);
    const path = join(fixtures, 'quantized/allinone_wan/model.safetensors');
    expect(toBytes((await draw({ ...given, transformer: { path } })).media)).toEqual(expected);
  });

  test('every tensor of the split pipeline is the same', async () => {
    const folder = altered('flux-tiny');
    const bare = without(altered('flux-tiny'), ['transformer', 'vae', 'text_encoder', 'text_encoder_2']);
    const split = await openNamed(folder);
    const joined = await openNamed(bare, { transformer: { path: oneFile } });
    for (const part of ['text_encoder', 'text_encoder_2']) {
      const [a, b] = [componentOf(split, part).source, componentOf(joined, part).source];
      for (const name of a.names) expect([name, await b.read(name)]).toEqual([name, await a.read(name)]);
    }
    await split.close();
    await joined.close();
  });
});

describe('a wrapped checkpoint', () => {
  test('draws the same picture', async () => {
    const folder = altered('flux-tiny');
    const path = join(folder, 'transformer', WEIGHTS);
    writeFileSync(path, await rewritten(path, (name, tensor) => [`_orig_mod.${name}`, tensor]));
    expect(await pixels(folder)).toEqual(plain);
  });

  test.each(['model.diffusion_model.', 'diffusion_model.', 'transformer.', 'module.', 'module._orig_mod.'])(
    'has the names behind %s',
    async prefix => {
      const path = join(fixtures, 'pipelines/flux-tiny/pipeline/transformer', WEIGHTS);
      const bytes = await rewritten(path, (name, tensor) => [prefix + name, tensor]);
      const wrapped = await safetensorsSource(memoryFile('a.safetensors', bytes));
      const own = await openSafetensorsAt(path);
      expect(unwrapped(wrapped).names).toEqual(own.names);
      expect(await unwrapped(wrapped).read('x_embedder.weight')).toEqual(await own.read('x_embedder.weight'));
      await own.close();
    },
  );
});

describe('float8', () => {
  test('in the folder itself draws what its values draw in float32', async () => {
    const narrow = altered('flux-tiny');
    const wide = altered('flux-tiny');
    const path = join(narrow, 'transformer', WEIGHTS);
    const codes = (tensor: TensorToWrite) => Uint8Array.from(tensor.data as Float32Array, codeOf);
    const small = await rewritten(path, (name, tensor) => [
      name,
      tensor.shape.length === 2 ? { ...tensor, dtype: 'F8_E4M3', data: codes(tensor) } : tensor,
    ]);
    const large = await rewritten(path, (name, tensor) => {
      const data = Float32Array.from(codes(tensor), code => E4M3[code]!);
      return [name, tensor.shape.length === 2 ? { ...tensor, data } : tensor];
    });
    writeFileSync(path, small);
    writeFileSync(join(wide, 'transformer', WEIGHTS), large);
    expect(await pixels(narrow)).toEqual(await pixels(wide));
  });
});

describe('a GGUF file', () => {
  test('beside a folder that has no transformer weights', async () => {
    const folder = altered('flux-tiny');
    const file = await ggufOf(folder, scratch.path('transformer.gguf'), 'model.diffusion_model.');
    expect(await pixels(without(folder, ['transformer']), file)).toEqual(plain);
    // Without its configuration the sizes would have to be those of a published model.
    await expect(pixels(without(folder, ['transformer'], true), file)).rejects.toMatchObject({
      fault: 'missing_config',
      message: expect.stringContaining('whose shapes are those of no published model'),
    });
  });

  test('the picture names it by its hash and is repeated with it alone', async () => {
    const folder = altered('flux-tiny');
    const path = await ggufOf(folder, scratch.path('transformer.gguf'));
    const { media, receipt } = await draw({ ...request, model: folder, transformer: { path } });
    expect(receipt.transformer).toEqual({ path, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(toBytes((await repeat(receipt)).media)).toEqual(toBytes(media));
    const other = readFileSync(path);
    other[other.length - 40]! ^= 1;
    writeFileSync(path, other);
    await expect(repeat(receipt)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('no longer the file'),
    });
  });

  test('on the command line: sample, inspect, --from, and a copy of the file', async () => {
    const folder = altered('flux-tiny');
    const path = await ggufOf(folder, scratch.path('transformer.gguf'));
    const first = scratch.path('a.png');
    const run = ['--steps', '1', '--width', '32', '--height', '32', '--backend', 'wasm'];
    const drawn = await command('sample', 'a fox', '--model', folder, '--transformer', path, ...run, '--out', first);
    expect(drawn).toMatchObject({ code: 0 });
    expect((await command('inspect', first)).stdout).toContain('transformer.gguf');
    const copy = scratch.path('copy.gguf');
    cpSync(path, copy);
    rmSync(path);
    const second = scratch.path('b.png');
    const again = ['sample', '--from', first, '--backend', 'wasm', '--out', second];
    expect(await command(...(again as ['sample']))).toMatchObject({ code: 1 });
    expect(await command(...(again as ['sample']), '--transformer', copy)).toMatchObject({ code: 0 });
    expect(existsSync(second)).toBe(true);
  });

  test('of another family, or beside what is no pipeline folder, is refused in a sentence', async () => {
    const wan = join(fixtures, 'quantized/gguf_wan_5d/model.gguf');
    const folder = altered('flux-tiny');
    await expect(pixels(folder, wan)).rejects.toMatchObject({
      code: 'checkpoint',
      message: `${wan} holds a transformer of Wan2.1, and ${folder} is a pipeline of FLUX.1.`,
    });
    await expect(pixels('fluent-emoji', wan)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('no pipeline folder'),
    });
    await expect(draw({ ...request, model: wan })).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('--transformer'),
    });
  });

  test('info and convert take it where its config.json is beside it', async () => {
    const folder = join(fixtures, 'quantized/gguf_wan_5d');
    const info = await command('info', join(folder, 'model.gguf'));
    expect(info).toMatchObject({ code: 0 });
    expect(info.stdout).toMatch(/WanTransformer3DModel[\s\S]*Q5_0/);
    const out = scratch.path('converted');
    expect(await command('convert', join(folder, 'model.gguf'), out)).toMatchObject({ code: 0 });
    const alone = scratch.path('alone.gguf');
    cpSync(join(folder, 'model.gguf'), alone);
    const { code, stderr } = await command('info', alone);
    expect(code).toBe(1);
    expect(stderr).toMatch(/a Wan\S* transformer whose shapes are those of no published model/);
  });
});
