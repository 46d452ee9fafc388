import { cpSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { memoryFolder } from '../../src/io/folder';
import { openNamed } from '../../src/pipelines/open';
import { openModelAt, openSafetensorsAt } from '../../src/weights/disk';
import { encodeSafetensors, type TensorToWrite } from '../../src/weights/encode-safetensors';
import { sniff } from '../../src/weights/sniff';
import { openWeights } from '../../src/weights/weight-files';
import { scratchFolder } from '../media/pictures';
import { altered } from '../pipelines/altered';
import { command } from './command';

const scratch = scratchFolder();
const checkpoints = resolve(__dirname, '../fixtures/checkpoints');

/** A safetensors file with one number under each name. */
function safetensors(...names: string[]): Uint8Array {
  const one = (): TensorToWrite => ({ dtype: 'F32', shape: [1], data: Float32Array.of(1) });
  return encodeSafetensors(new Map(names.map(name => [name, one()])), {});
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const STRANGE: readonly (readonly [name: string, bytes: Uint8Array, what: RegExp, hint: RegExp])[] = [
  ['flux.gguf', Uint8Array.from([...utf8('GGUF'), 3, ...new Uint8Array(67)]), /a GGUF file/, /--transformer|It runs/],
  [
    'model.ckpt',
    Uint8Array.from([...utf8('PK\x03\x04'), ...new Uint8Array(60)]),
    /a zip or pickle file/,
    /runs its code/,
  ],
  ['model.pt', Uint8Array.from([0x80, 2, ...new Uint8Array(60)]), /a zip or pickle file/, /runs its code/],
  ['a.safetensors', utf8('<!DOCTYPE html><html><body>Sign in</body></html>'), /a web page/, /download the file again/],
  ['a.bin', utf8('{"_class_name": "FluxTransformer2DModel"}'), /a JSON file/, /Give the folder/],
  [
    'pytorch_lora_weights.safetensors',
    safetensors('transformer.blocks.0.attn.to_q.lora_A.weight', 'transformer.blocks.0.attn.to_q.lora_B.weight'),
    /an adapter \(LoRA\)/,
    /--lora/,
  ],
  [
    'kohya.safetensors',
    safetensors(
      'lora_unet_double_blocks_0_img_attn_qkv.alpha',
      'lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight',
    ),
    /an adapter \(LoRA\)/,
    /--lora/,
  ],
  [
    'xlabs.safetensors',
    safetensors('double_blocks.0.processor.qkv_lora1.down.weight'),
    /an adapter \(LoRA\)/,
    /--lora/,
  ],
  [
    'v1-5-pruned.safetensors',
    safetensors('model.diffusion_model.input_blocks.0.0.weight', 'first_stage_model.decoder.conv_in.weight'),
    /a whole pipeline of Stable Diffusion in a single file/,
    /U-Nets/,
  ],
];

test.each(STRANGE)('%s is told for what it is, alone and in a folder', async (name, bytes, what, hint) => {
  mkdirSync(scratch.path('folder'));
  const file = scratch.path('folder', name);
  writeFileSync(file, bytes);
  for (const path of [file, scratch.path('folder')]) {
    await expect(openNamed(path)).rejects.toMatchObject({
      code: 'checkpoint',
      message: expect.stringMatching(what),
      hint: expect.stringMatching(hint),
    });
    // `info` describes a LoRA, also in a folder under the name that libraries give it.
    const isDescribed = /LoRA/.test(what.source) && (path === file || name.startsWith('pytorch_lora'));
    const commands = isDescribed ? (['sample'] as const) : (['info', 'sample'] as const);
    for (const name of commands) {
      const words = name === 'info' ? [path] : ['a', '--model', path, '--backend', 'wasm'];
      const { code, stderr } = await command(name, ...words);
      expect(code).toBe(1);
      expect(stderr).toMatch(what);
    }
  }
});

test.each([640, 896, 0x4b50])('a header of %i bytes makes no pickle or zip file of safetensors', async length => {
  const plain = safetensors('x');
  const header = new DataView(plain.buffer, plain.byteOffset).getUint32(0, true);
  const long = new Uint8Array(plain.length + length - header).fill(0x20);
  long.set(plain.subarray(0, 8 + header));
  long.set(plain.subarray(8 + header), 8 + length);
  new DataView(long.buffer).setUint32(0, length, true);
  expect(sniff(long.subarray(0, 512))).toBeUndefined();
  writeFileSync(scratch.path('a.safetensors'), long);
  const source = await openSafetensorsAt(scratch.path('a.safetensors'));
  expect(source.names).toEqual(['x']);
  await source.close();
  // Cut, it is a cut file and no other kind.
  writeFileSync(scratch.path('cut.safetensors'), long.subarray(0, 400));
  await expect(openSafetensorsAt(scratch.path('cut.safetensors'))).rejects.toMatchObject({ fault: 'truncated_header' });
});

describe('an index and a single file, where one of them was left over', () => {
  /** Folder of two shards under a stem, and of one file whose tensors have other names. */
  function both(stem: string) {
    const shards = ['a', 'b'].map((name, i) => [`${stem}-0000${i + 1}-of-00002.safetensors`, name] as const);
    const index = { metadata: {}, weight_map: Object.fromEntries(shards.map(([file, name]) => [name, file])) };
    return memoryFolder(
      'model',
      new Map([
        ...shards.map(([file, name]) => [file, safetensors(name)] as const),
        [`${stem}.safetensors.index.json`, utf8(JSON.stringify(index))],
        [`${stem}.safetensors`, safetensors('single')],
      ]),
    );
  }

  test('diffusers takes the index, for transformers and autoencoders', async () => {
    expect((await openWeights(both('diffusion_pytorch_model'))).names).toEqual(['a', 'b']);
  });

  test('transformers takes the single file, for text encoders', async () => {
    expect((await openWeights(both('model'))).names).toEqual(['single']);
  });

  test('so does a checkpoint on disk', async () => {
    cpSync(join(checkpoints, 'sharded-fp32/transformer'), scratch.path('both'), { recursive: true });
    const stale = 'diffusion_pytorch_model.safetensors';
    writeFileSync(scratch.path('both', stale), safetensors('stale'));
    const model = await openModelAt(scratch.path('both'));
    const { source } = model.components.get('model')!;
    expect(source.has('stale')).toBe(false);
    expect(source.files.map(({ name }) => name)).not.toContain(scratch.path('both', stale));
    await model.close();
  });
});

describe('weights of a variant only', () => {
  /** A whole pipeline whose weights are all called `….fp16.safetensors`. */
  function halved(): string {
    const folder = altered('flux-tiny');
    for (const part of ['transformer', 'vae', 'text_encoder', 'text_encoder_2']) {
      for (const name of readdirSync(join(folder, part)).filter(file => file.endsWith('.safetensors'))) {
        renameSync(join(folder, part, name), join(folder, part, name.replace('.safetensors', '.fp16.safetensors')));
      }
    }
    return folder;
  }

  test('are taken where there is one variant, and the picture is repeated', async () => {
    const folder = halved();
    const first = scratch.path('a.png');
    const run = ['--model', folder, '--steps', '1', '--width', '32', '--height', '32', '--backend', 'wasm'];
    expect(await command('sample', 'a fox', ...run, '--out', first)).toMatchObject({ code: 0 });
    const again = await command('sample', '--from', first, '--backend', 'wasm', '--out', scratch.path('b.png'));
    expect(again).toMatchObject({ code: 0 });
    const plain = openModelAt(altered('flux-tiny'), { variant: 'fp16' });
    await expect(plain).rejects.toMatchObject({ hint: expect.stringContaining('leave --variant out') });
  });

  test('are named where there are several, with the option that takes one; the picture says which', async () => {
    const folder = halved();
    const transformer = join(folder, 'transformer/diffusion_pytorch_model');
    cpSync(`${transformer}.fp16.safetensors`, `${transformer}.bf16.safetensors`);
    await expect(openModelAt(folder)).rejects.toMatchObject({
      fault: 'missing_weights',
      hint: expect.stringMatching(
        /^It holds \S+\.bf16\.safetensors, of the variant bf16; .*: ask for it with --variant bf16, .*option variant\.$/,
      ),
    });
    const run = ['--model', folder, '--steps', '1', '--width', '32', '--height', '32', '--backend', 'wasm'];
    const out = scratch.path('c.png');
    expect(await command('sample', 'a fox', ...run, '--variant', 'fp16', '--out', out)).toMatchObject({ code: 0 });
    expect((await command('inspect', out)).stdout).toMatch(/variant +fp16/);
  });

  test('are taken of the parts that have them; a variant that no part has is refused', async () => {
    const folder = altered('flux-tiny');
    const transformer = join(folder, 'transformer/diffusion_pytorch_model');
    cpSync(`${transformer}.safetensors`, `${transformer}.fp16.safetensors`);
    const filesWith = async (variant: string, file?: string): Promise<[string, string][]> => {
      const model = await openNamed(folder, { variant, ...(file !== undefined && { transformer: { path: file } }) });
      const found = [...model.components].map(([name, { source }]): [string, string] => [
        name,
        basename(source.files[0]!.name),
      ]);
      await model.close();
      return found.sort();
    };
    const others: [string, string][] = [
      ['text_encoder', 'model.safetensors'],
      ['text_encoder_2', 'model.safetensors'],
    ];
    const vae: [string, string] = ['vae', 'diffusion_pytorch_model.safetensors'];
    expect(await filesWith('fp16')).toEqual([
      ...others,
      ['transformer', 'diffusion_pytorch_model.fp16.safetensors'],
      vae,
    ]);
    // A file with the whole pipeline brings no part that the folder has, of whatever variant.
    const whole = resolve(__dirname, '../fixtures/quantized/allinone_flux/model.safetensors');
    expect(await filesWith('fp16', whole)).toEqual([...others, ['transformer', 'model.safetensors'], vae]);
    await expect(filesWith('fp61')).rejects.toMatchObject({ fault: 'missing_weights' });
  });

  test.each(['sample', 'calibrate', 'compare', 'bench', 'info', 'convert'])('%s takes --variant', async name => {
    const { stderr } = await command(name, '--variant');
    expect(stderr).toContain("'--variant <name>' argument missing");
  });
});
