import { UsageError } from '../../src/errors';
import { familyOf } from '../../src/models/families';
import { countFlops } from '../../src/models/flops';
import { preset, presetNames } from '../../src/models/presets';
import { requirements } from '../../src/models/requirements';
import { workload } from '../../src/models/workload-of';
import { release } from '../../src/nn/scope';
import { describeOnBackends, withoutKernels } from '../support/backends';
import { command } from '../weights/command';
import { countedFlops } from './counted-flops';
import { run, smallModel, values } from './support';

const TEXT = 5;
const small = {
  flux: {
    _class_name: 'FluxTransformer2DModel',
    num_layers: 2,
    num_single_layers: 1,
    num_attention_heads: 2,
    attention_head_dim: 10,
    axes_dims_rope: [2, 4, 4],
    in_channels: 7,
    joint_attention_dim: 9,
    pooled_projection_dim: 11,
    guidance_embeds: true,
  },
  chroma: {
    _class_name: 'ChromaTransformer2DModel',
    num_layers: 2,
    num_single_layers: 1,
    num_attention_heads: 2,
    attention_head_dim: 10,
    axes_dims_rope: [2, 4, 4],
    in_channels: 7,
    joint_attention_dim: 9,
    approximator_num_channels: 16,
    approximator_hidden_dim: 11,
    approximator_layers: 2,
  },
  wan: {
    _class_name: 'WanTransformer3DModel',
    num_attention_heads: 2,
    attention_head_dim: 14,
    in_channels: 3,
    out_channels: 5,
    text_dim: 9,
    freq_dim: 16,
    ffn_dim: 24,
    num_layers: 2,
  },
  cogVideoX: {
    _class_name: 'CogVideoXTransformer3DModel',
    num_attention_heads: 2,
    attention_head_dim: 16,
    in_channels: 3,
    out_channels: 5,
    time_embed_dim: 12,
    text_embed_dim: 9,
    num_layers: 2,
    use_rotary_positional_embeddings: true,
  },
  openSora: {
    _class_name: 'STDiT3',
    caption_channels: 9,
    depth: 2,
    hidden_size: 24,
    num_heads: 2,
    in_channels: 3,
    model_max_length: TEXT,
  },
};

const withText = () => ({ encoderHiddenStates: values([1, TEXT, 9]) });
const models = [
  {
    name: 'FLUX',
    config: small.flux,
    demand: { height: 48, width: 64, textTokens: TEXT },
    condition: () => ({
      ...withText(),
      pooledProjections: values([1, 11]),
      imgIds: Array.from({ length: 12 }, (_, i) => [0, i, i]),
    }),
  },
  {
    name: 'Chroma',
    config: small.chroma,
    demand: { height: 48, width: 64, textTokens: TEXT },
    condition: () => ({ ...withText(), imgIds: Array.from({ length: 12 }, (_, i) => [0, i, i]) }),
  },
  {
    name: 'Wan',
    config: small.wan,
    demand: { height: 32, width: 48, frames: 9, textTokens: TEXT },
    condition: withText,
  },
  {
    name: 'CogVideoX',
    config: small.cogVideoX,
    demand: { height: 32, width: 48, frames: 9, textTokens: TEXT },
    condition: withText,
  },
  {
    name: 'Open-Sora',
    config: small.openSora,
    demand: { height: 40, width: 48, frames: 22 },
    condition: () => ({ captions: values([1, TEXT, 9]), fps: 24, height: 40, width: 48 }),
  },
];

describeOnBackends('operations', () => {
  withoutKernels();
  test.each(models)('$name: as many as a forward pass runs', async ({ config, demand, condition }) => {
    const { model, weights, table } = smallModel(config);
    const known = familyOf(config._class_name);
    const work = workload(config._class_name, config, demand);
    const parsed = known.schema.parse(config);
    const [latent, cond] = [values([...work.latent]), condition()];
    const heads = 'num_heads' in config ? config.num_heads : config.num_attention_heads;
    const counted = await countedFlops(() => run(model, cond, latent, 300), work.width / heads);
    expect(countFlops(table, work, known.blockNames(parsed)).forward).toBe(counted);
    weights.dispose();
    release([latent, cond]);
  });
}, ['wasm']);

test.each([
  ['flux-dev', 4096, 11_901_408_320],
  ['flux-schnell', 4096, 11_891_178_560],
  ['chroma1-hd', 4096, 8_899_983_424],
  ['wan2.1-t2v-1.3b', 32_760, 1_418_996_800],
  ['wan2.1-t2v-14b', 32_760, 14_288_491_584],
  ['cogvideox-2b', 17_550, 1_693_783_872],
  ['cogvideox-5b', 17_550, undefined],
  ['opensora-1.2', 23_850, undefined],
])('%s: tokens and parameters at its usual size', (name, tokens, parameters) => {
  const { transformer } = preset(name);
  const needs = requirements(transformer._class_name, transformer);
  expect(needs.tokens).toBe(tokens);
  if (parameters) expect(needs.parameters).toBe(parameters);
  // At least one product for every weight of the blocks, and no more than all tokens meeting every weight.
  const { forward, attention } = needs.flops;
  expect(forward - attention).toBeLessThan(2 * needs.parameters * (needs.tokens + needs.textTokens));
  expect(forward - attention).toBeGreaterThan(needs.parameters * needs.tokens);
  expect(needs.memory.offload.bytes).toBeLessThan(needs.memory.resident.bytes);
});

test.each([
  ['flux-dev', { height: 1000 }, '1008x1024'],
  ['flux-dev', { frames: 2 }, 'Take 1 frame.'],
  ['wan2.1-t2v-1.3b', { frames: 80 }, '77 or 81 frames'],
  ['wan2.1-t2v-1.3b', { frames: 82 }, '81 or 85 frames'],
  ['cogvideox-2b', { width: 8 }, '480x16'],
  ['opensora-1.2', { width: 427 }, '480x424'],
  ['cogvideox-2b', { frames: 5 }, '1 or 8 frames'],
  ['opensora-1.2', { frames: 16 }, '1 or 17 frames'],
])('%s cannot draw %j', (name, demand, hint) => {
  const { transformer } = preset(name);
  const failing = (): unknown => workload(transformer._class_name, transformer, demand);
  expect(failing).toThrow(UsageError);
  try {
    failing();
  } catch (error) {
    if (hint) expect((error as UsageError).hint).toContain(hint);
  }
});

describe('ertacache info', () => {
  test.each(presetNames())('%s: what it needs, before anything is loaded', async name => {
    const { code, stdout, stderr } = await command('info', name, '--json');
    expect([code, stderr]).toEqual([0, '']);
    const { preset: named, parameters, bytes, memory } = JSON.parse(stdout);
    expect([named, bytes.float32, bytes.bfloat16]).toEqual([name, 4 * parameters, 2 * parameters]);
    expect(memory.resident.fits).toBe(memory.resident.bytes <= memory.total);
  });

  test('for people, at a size of their own', async () => {
    const { stdout } = await command('info', 'wan2.1-t2v-1.3b', '--height', '256', '--width', '512', '--frames', '1');
    expect(stdout).toContain('1,418,996,800 parameters');
    expect(stdout).toContain('at 256x512: 512 tokens and 512 of text');
    expect(stdout).toMatch(/one forward pass: \d\.\d+ TFLOP, \d % of it attention/);
    expect(stdout).toContain('with --offload');
  });

  test('sizes that make no sense', async () => {
    expect(await command('info', 'flux-dev', '--width', '1024x')).toMatchObject({ code: 2 });
    expect(await command('info', 'flux-dev', '--height', '1000', '--width', '1000')).toMatchObject({ code: 2 });
    expect(await command('info', 'flux-dev', '--frames', '0')).toMatchObject({ code: 2 });
  });

  test('a folder: what it holds and what it needs', async () => {
    const folder = `${__dirname}/../fixtures/checkpoints/bf16/transformer`;
    const { stdout } = await command('info', folder, '--height', '32', '--width', '48', '--frames', '5');
    expect(stdout).toContain('69 tensors, 21,000 parameters');
    expect(stdout).toContain('at 32x48, 5 frames: 12 tokens');
    const { needs, components } = JSON.parse((await command('info', folder, '--json')).stdout);
    expect(components).toHaveLength(1);
    expect(needs.tokens).toBe(32_760);
  });
});
