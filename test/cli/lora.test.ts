import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loraText } from '../../src/cli/parse';
import { repeated } from '../../src/cli/sample/repeat-options';
import type { Receipt } from '../../src/draw/receipt';
import { dense } from '../../src/media/pixels';
import { readMedia } from '../../src/media/read';
import { readReceipt } from '../../src/media/receipt';
import { scratchFolder } from '../media/pictures';
import { command } from '../weights/command';
import { TINY_FLUX as pipeline, writeLora } from '../weights/tiny-lora';

const lora = (name: string): string => resolve(__dirname, '../fixtures/lora', name);
const scratch = scratchFolder();
const sample = (...args: string[]) => command('--backend', 'wasm', 'sample', ...args);
const pixelsOf = async (name: string) => [...dense((await readMedia(scratch.path(name))).pixels)];
const SENTENCES = /^ertacache: [^\n]+[^.\n]\.\n( {2}[^\n]+\n)?$/m;
const small = ['--model', pipeline, '--steps', '2', '--policy', 'none', '--width', '32', '--height', '32'];

test('a file and a scale after its last colon', () => {
  writeFileSync(scratch.path('odd:2'), '');
  expect(loraText('a.safetensors')).toEqual({ path: 'a.safetensors', scale: 1 });
  expect(loraText('a.safetensors:0.8')).toEqual({ path: 'a.safetensors', scale: 0.8 });
  expect(loraText('a:b.safetensors:-.5')).toEqual({ path: 'a:b.safetensors', scale: -0.5 });
  expect(loraText('C:\\loras\\a.safetensors:1e-1')).toEqual({ path: 'C:\\loras\\a.safetensors', scale: 0.1 });
  expect(loraText('C:\\loras\\a.safetensors')).toEqual({ path: 'C:\\loras\\a.safetensors', scale: 1 });
  expect(loraText(scratch.path('odd:2'))).toEqual({ path: scratch.path('odd:2'), scale: 1 });
  expect(() => loraText('a:1e999')).toThrow('a number');
  expect(() => loraText('')).toThrow('Give a file');
});

test('sample --lora draws another picture, --from repeats it, and a changed file is refused', async () => {
  const file = scratch.path('style.safetensors');
  writeLora(file, 0.5);
  const [plain, styled, again] = ['plain', 'styled', 'again'].map(name => scratch.path(`${name}.png`)) as [
    string,
    string,
    string,
  ];
  const two = ['--lora', `${file}:3`, '--lora', `${file}:-0.25`];
  expect(await sample('a fox', ...small, '--out', plain)).toMatchObject({ code: 0 });
  expect(await sample('a fox', ...small, ...two, '--out', styled)).toMatchObject({ code: 0 });
  expect(await pixelsOf('styled.png')).not.toEqual(await pixelsOf('plain.png'));
  const receipt = (await readReceipt(styled)) as Receipt;
  const sha256 = expect.stringMatching(/^[0-9a-f]{64}$/);
  expect(receipt.loras).toEqual([
    { path: 'style.safetensors', sha256, scale: 3 },
    { path: 'style.safetensors', sha256, scale: -0.25 },
  ]);
  expect(receipt.model.hash).toBe(((await readReceipt(plain)) as Receipt).model.hash);
  expect(await sample('--from', styled, '--out', again)).toMatchObject({ code: 0 });
  expect(await pixelsOf('again.png')).toEqual(await pixelsOf('styled.png'));
  expect(((await readReceipt(again)) as Receipt).loras).toEqual(receipt.loras);
  const elsewhere = scratch.path('elsewhere');
  mkdirSync(elsewhere);
  copyFileSync(styled, join(elsewhere, 'sent.png'));
  const sent = ['--from', join(elsewhere, 'sent.png'), '--out', join(elsewhere, 'again.png')];
  expect(await sample(...sent)).toMatchObject({ code: 1, stderr: expect.stringContaining('--lora') });
  expect(await sample(...sent, '--lora', file, '--lora', file)).toMatchObject({ code: 0 });
  writeLora(file, 0.4);
  const refused = await sample('--from', styled, '--out', scratch.path('refused.png'));
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(SENTENCES) });
  expect(refused.stderr).toContain('style.safetensors is no longer the LoRA');
});

test('calibrate --lora makes a policy that names the LoRA, and sample follows it without a warning', async () => {
  const warned = jest.spyOn(console, 'warn').mockImplementation(() => {});
  const [file, prompts, out] = ['own.safetensors', 'prompts.txt', 'policy.json'].map(name => scratch.path(name)) as [
    string,
    string,
    string,
  ];
  writeLora(file, 0.3);
  writeFileSync(prompts, 'a fox\na heart\n');
  const size = ['--model', pipeline, '--steps', '4', '--width', '32', '--height', '32', '--lora', `${file}:0.5`];
  const few = ['--prompts', prompts, '--pairs', '1', '--held-out', '0', '--bound-pairs', '0', '--out', out];
  const made = await command('--backend', 'wasm', 'calibrate', ...size, ...few);
  expect(made).toMatchObject({ code: 0 });
  expect(JSON.parse(readFileSync(out, 'utf8')).model.loras).toEqual([
    { sha256: expect.stringMatching(/^[0-9a-f]{64}$/), scale: 0.5 },
  ]);
  const own = await sample('a fox', ...size, '--policy', out, '--out', scratch.path('own.png'));
  expect(own).toMatchObject({ code: 0 });
  expect(warned.mock.calls.flat().join()).not.toMatch(/calibrated/);
  const plain = await sample('a fox', ...size.slice(0, -2), '--policy', out, '--out', scratch.path('other.png'));
  expect(plain).toMatchObject({ code: 0 });
  expect(warned.mock.calls.flat().join()).toMatch(/calibrated for .* with a LoRA, and this run is without a LoRA/);
  warned.mockRestore();
});

test('what does not fit is refused in one sentence, before anything is drawn', async () => {
  const wrong = await sample(
    'a fox',
    ...small,
    '--lora',
    lora('wan_comfy/lora.safetensors'),
    '--out',
    scratch.path('a.png'),
  );
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(SENTENCES) });
  expect(wrong.stderr).toMatch(/wan_comfy\/lora.safetensors changes .*, which the model does not have/);
  const none = await sample('a fox', ...small, '--lora', scratch.path('none.safetensors:0.5'));
  expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(SENTENCES) });
  expect(none.stderr).toMatch(/There is no LoRA .*none.safetensors\./);
});

test('convert and export refuse one in one sentence', async () => {
  for (const name of ['convert', 'export']) {
    const refused = await command(name, pipeline, scratch.path('out'), '--lora', lora('flux_bfl/lora.safetensors'));
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(SENTENCES) });
    expect(refused.stderr).toContain('merged when a model is loaded');
  }
});

test.each([
  [
    'flux_kohya_top_level',
    /a LoRA for FLUX\.1\n {2}7 modules: LoRA \(7\), ranks \d to \d\n[\s\S]*6 tensors for text encoders/,
  ],
  ['flux_dora_peft', /a LoRA for FLUX\.1 or Chroma\n {2}7 modules: LoRA \(7\), with DoRA \(7\)/],
  ['flux_loha', /a LoRA for FLUX\.1 or Chroma\n {2}5 modules: LoHa \(5\), ranks/],
  ['wan_diff', /a LoRA for Wan2\.1[^\n]*\n[^\n]*LoRA \(\d+\), difference \(10\)/],
])('info says what %s is', async (name, words) => {
  const path = lora(`${name}/lora.safetensors`);
  const { code, stdout } = await command('info', path);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(words) });
  const json = JSON.parse((await command('info', path, '--json')).stdout);
  expect(json).toMatchObject({ kind: 'lora', path, modules: expect.any(Array) });
});

test('--lora-2 and --transformer-2 are for models with two transformers', async () => {
  const file = scratch.path('second.safetensors');
  writeLora(file, 0.5);
  const out = ['--out', scratch.path('none.png')];
  for (const [option, sentence] of [
    ['--lora-2', `${file} is for a second transformer, and the model has one.`],
    ['--transformer-2', 'has one transformer, and a file for a second one is given.'],
  ] as const) {
    const said = await sample('a fox', ...small, option, file, ...out);
    expect(said.code).toBe(2);
    expect(said.stderr).toContain(sentence);
  }
});

test('--from finds LoRAs of both transformers where they are now', () => {
  const scaled = [
    { path: 'a.safetensors', sha256: 'a', scale: 0.5 },
    { path: 'b.safetensors', sha256: 'b', scale: 1, component: 'transformer_2' },
    { path: 'c.safetensors', sha256: 'c', scale: 1 },
  ];
  const receipt = { model: { path: 'wan' }, seed: 1, policy: null, loras: scaled } as unknown as Receipt;
  const lora2 = [{ path: 'x/b.safetensors', scale: 1 }];
  const { loras } = repeated(receipt, 'clip.webp', { lora2 });
  expect(loras).toEqual([scaled[0], { ...scaled[1], path: 'x/b.safetensors' }, scaled[2]]);
  const firsts = [{ path: 'x/a.safetensors' }, { path: 'x/c.safetensors' }];
  expect(repeated(receipt, 'clip.webp', { lora: firsts }).loras?.map(({ path }) => path)).toEqual([
    'x/a.safetensors',
    'b.safetensors',
    'x/c.safetensors',
  ]);
  expect(() => repeated(receipt, 'clip.webp', { lora2: firsts })).toThrow('with 1 LoRAs, and --lora-2 names 2');
});

test('info says what a folder of diffusers with a LoRA is', async () => {
  const folder = scratch.path('style');
  mkdirSync(folder);
  copyFileSync(lora('flux_diffusers/lora.safetensors'), join(folder, 'pytorch_lora_weights.safetensors'));
  const { code, stdout } = await command('info', folder);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(`${folder}: a LoRA for FLUX`) });
  expect(await command('info', pipeline)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('a pipeline folder'),
  });
});
