import { cpSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { loadModel } from '../../src/pipelines/load';
import { describeOnBackends } from '../support/backends';
import { altered } from './altered';

const INDEX = 'model_index.json';
const TRANSFORMER = 'transformer/config.json';
const SCHEDULER = 'scheduler/scheduler_config.json';

let told: string[];
let spy: jest.SpyInstance;
beforeEach(() => {
  told = [];
  spy = jest.spyOn(console, 'warn').mockImplementation(text => void told.push(String(text)));
});
afterEach(() => spy.mockRestore());

/** Why a pipeline is not loaded. */
async function refusal(folder: string): Promise<{ code: string; message: string; hint: string }> {
  const before = tf.memory().numTensors;
  const loaded = await loadModel(folder).catch((error: unknown) => error);
  expect(loaded).toBeInstanceOf(Error);
  expect(tf.memory().numTensors).toBe(before);
  return loaded as { code: string; message: string; hint: string };
}

describeOnBackends('models that draw something else', () => {
  test.each([
    ['flux-tiny', 'FluxFillPipeline', 'filling in a part of a picture'],
    ['flux-tiny', 'FluxControlPipeline', 'a depth map or edges'],
    ['flux-tiny', 'FluxKontextPipeline', 'editing a picture by words'],
    ['flux-tiny', 'FluxControlNetPipeline', 'ControlNet'],
    ['wan-tiny', 'WanImageToVideoPipeline', 'image to video'],
    ['wan-tiny', 'WanVideoToVideoPipeline', 'video to video'],
    ['cogvideox-tiny', 'CogVideoXImageToVideoPipeline', 'image to video'],
  ] as const)('%s as %s is refused, and its task named', async (name, className, task) => {
    const { code, message } = await refusal(altered(name, { [INDEX]: { _class_name: className } }));
    expect(code).toBe('unsupported');
    expect(message).toMatch(/ is for /);
    for (const word of [task, className]) expect(message).toContain(word);
  });

  test.each([
    ['flux-tiny', 96],
    ['flux-tiny', 32],
    ['wan-tiny', 12],
    ['cogvideox-tiny', 8],
  ] as const)('%s with %d channels is refused before its weights are read', async (name, channels) => {
    const { code, message } = await refusal(altered(name, { [TRANSFORMER]: { in_channels: channels } }));
    expect(code).toBe('unsupported');
    expect(message).toMatch(/takes \d+ channels, and its autoencoder makes 4/);
  });

  test('a text encoder of another width is refused', async () => {
    const { code, message } = await refusal(altered('wan-tiny', { [TRANSFORMER]: { text_dim: 30 } }));
    expect([code, message]).toEqual([
      'checkpoint',
      expect.stringMatching(/texts of 30 channels, and its text_encoder/),
    ]);
  });

  test.each([
    [{ boundary_ratio: 0.9 }, 'config', /transformer_2 takes over, and there is none/],
    [{ expand_timesteps: true }, 'unsupported', /a time for every token/],
    [{ controlnet: ['diffusers', 'WanControlNet'] }, 'unsupported', /a part \(controlnet\)/],
  ])('Wan with %j is refused', async (fields, code, message) => {
    const folder = altered('wan-tiny', { [INDEX]: fields });
    if ('controlnet' in fields) cpSync(join(folder, 'transformer'), join(folder, 'controlnet'), { recursive: true });
    expect(await refusal(folder)).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test.each([
    ['flux-tiny', { use_karras_sigmas: true }, 'use_karras_sigmas'],
    ['flux-tiny', { invert_sigmas: true }, 'invert_sigmas'],
    ['flux-tiny', { stochastic_sampling: true }, 'stochastic_sampling'],
    ['wan-tiny', { use_beta_sigmas: true }, 'use_beta_sigmas'],
    ['wan-tiny', { thresholding: true }, 'thresholding'],
    ['wan-tiny', { use_dynamic_shifting: true }, 'use_dynamic_shifting'],
    ['cogvideox-tiny', { trained_betas: [0.1] }, 'trained_betas'],
    ['cogvideox-tiny', { prediction_type: 'epsilon' }, 'prediction_type'],
  ] as const)('%s with the sampler at %j is refused by the name of the field', async (name, fields, field) => {
    const { code, message, hint } = await refusal(altered(name, { [SCHEDULER]: fields }));
    expect([code, message]).toEqual(['config', expect.stringContaining(`scheduler_config.json: ${field}: `)]);
    expect(message).toMatch(/supported/);
    expect(hint).toContain('another');
  });

  test('a part that is quantised, or has another activation, is refused', async () => {
    const quantised = altered('wan-tiny', { [TRANSFORMER]: { quantization_config: { quant_method: 'bitsandbytes' } } });
    expect((await refusal(quantised)).message).toContain('quantization_config: {"quant_method":"bitsandbytes"}');
    const relu = altered('wan-tiny', { 'text_encoder/config.json': { dense_act_fn: 'relu' } });
    expect((await refusal(relu)).message).toContain('dense_act_fn: "relu" is not supported, only "gelu_new"');
  });

  test('the fields of published files pass without a word, and strange ones are told once', async () => {
    for (const name of ['flux-tiny', 'wan-tiny', 'cogvideox-tiny', 'opensora-tiny'] as const) {
      (await loadModel(altered(name))).dispose();
    }
    // What is left over from FLUX in the published file of Chroma.
    const chroma = { guidance_embeds: false, pooled_projection_dim: 768 };
    (await loadModel(altered('chroma-tiny', { [TRANSFORMER]: chroma }))).dispose();
    expect(told).toEqual([]);
    // Names of this run's own: what was told on another backend is not told again.
    const own = (name: string): string => `${name}_${tf.getBackend()}`;
    const strange = altered('flux-tiny', {
      [INDEX]: { [own('sharpness')]: 3, _name_or_path: 'x' },
      [TRANSFORMER]: { [own('brightness')]: 2 },
      [SCHEDULER]: { [own('warmth')]: 1 },
    });
    for (let i = 0; i < 2; i++) (await loadModel(strange)).dispose();
    expect(told.map(text => /does not know (\w+)/.exec(text)?.[1]).sort()).toEqual(
      ['brightness', 'sharpness', 'warmth'].map(own),
    );
    const fork = altered('flux-tiny', { [INDEX]: { _class_name: own('FluxPipeline') } });
    (await loadModel(fork)).dispose();
    expect(told.at(-1)).toMatch(/FluxPipeline_\w+, which ertacache does not know: it is run as FLUX\.1\.$/);
  });
});
