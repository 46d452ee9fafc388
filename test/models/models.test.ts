import * as tf from '@tensorflow/tfjs-core';
import { ConfigError, ShapeError } from '../../src/errors';
import { parseConfig } from '../../src/io/parse-config';
import { familyOf } from '../../src/models/families';
import { nullCaptions } from '../../src/models/open-sora/transformer';
import { release } from '../../src/nn/scope';
import { runBlocks } from '../../src/transformer/run';
import { describeOnBackends } from '../support/backends';
import { maxAbsDifference } from '../support/golden';
import { run, smallModel, values } from './support';

const wan = {
  _class_name: 'WanTransformer3DModel',
  num_attention_heads: 2,
  attention_head_dim: 14,
  in_channels: 3,
  out_channels: 5,
  text_dim: 10,
  freq_dim: 16,
  ffn_dim: 24,
  num_layers: 2,
  rope_max_seq_len: 16,
};
const cogVideoX = {
  _class_name: 'CogVideoXTransformer3DModel',
  num_attention_heads: 2,
  attention_head_dim: 16,
  in_channels: 3,
  out_channels: 5,
  time_embed_dim: 12,
  text_embed_dim: 10,
  num_layers: 2,
  sample_width: 12,
  sample_height: 8,
  max_text_seq_length: 4,
};
const openSora = {
  _class_name: 'STDiT3',
  caption_channels: 10,
  depth: 2,
  hidden_size: 24,
  num_heads: 2,
  in_channels: 3,
  model_max_length: 5,
};

/** One model, what it is conditioned on for a batch, and latents of odd shapes. */
interface Sample {
  name: string;
  config: { _class_name: string } & Record<string, unknown>;
  condition(batch: number): Record<string, unknown>;
  latents: number[][];
  outputs: number;
  channelAxis: number;
}

const openSoraCondition = (batch: number) => ({
  captions: values([batch, 5, 10]),
  mask: Array.from({ length: batch }, (_, b) => [1, 1, b % 2, b % 2, 0]),
  fps: 24,
  height: 48,
  width: 80,
});
const withText = (batch: number, tokens: number) => ({ encoderHiddenStates: values([batch, tokens, 10]) });

const samples: Sample[] = [
  {
    name: 'Wan',
    config: wan,
    condition: batch => withText(batch, 3),
    latents: [
      [1, 3, 1, 2, 2],
      [2, 3, 5, 2, 6],
      [1, 3, 2, 10, 4],
    ],
    outputs: 5,
    channelAxis: 1,
  },
  {
    name: 'Wan with patches in time and without the second norm',
    config: { ...wan, patch_size: [2, 1, 3], cross_attn_norm: false },
    condition: batch => withText(batch, 1),
    latents: [[1, 3, 4, 3, 6]],
    outputs: 5,
    channelAxis: 1,
  },
  {
    name: 'CogVideoX 2B',
    config: cogVideoX,
    condition: batch => withText(batch, 4),
    latents: [
      [1, 1, 3, 2, 2],
      [2, 3, 3, 6, 10],
      [1, 5, 3, 8, 12],
    ],
    outputs: 5,
    channelAxis: 2,
  },
  {
    name: 'CogVideoX 5B, without biases',
    config: { ...cogVideoX, use_rotary_positional_embeddings: true, attention_bias: false, patch_bias: false },
    condition: batch => withText(batch, 7),
    latents: [
      [1, 1, 3, 2, 2],
      [2, 2, 3, 10, 6],
      [1, 3, 3, 2, 14],
    ],
    outputs: 5,
    channelAxis: 2,
  },
  {
    name: 'Open-Sora',
    config: openSora,
    condition: openSoraCondition,
    latents: [
      [1, 3, 1, 2, 2],
      [2, 3, 7, 3, 5],
      [3, 3, 2, 9, 4],
    ],
    outputs: 6,
    channelAxis: 1,
  },
  {
    name: 'Open-Sora with patches in time, without norms of queries and keys, without variance',
    config: { ...openSora, patch_size: [2, 2, 2], qk_norm: false, pred_sigma: false },
    condition: openSoraCondition,
    latents: [[1, 3, 3, 4, 5]],
    outputs: 3,
    channelAxis: 1,
  },
];

describeOnBackends('denoisers', () => {
  describe.each(samples)('$name', ({ config, condition, latents, outputs, channelAxis }) => {
    test.each(latents)('a latent of [%d, %d, %d, %d, %d] keeps its size, nothing leaks', async (...shape) => {
      const { model, weights } = smallModel(config);
      const [latent, cond] = [values(shape), condition(shape[0]!)];
      const before = tf.memory().numTensors;
      const out = await run(model, cond, latent, 321);
      expect(tf.memory().numTensors).toBe(before);
      expect(out.shape).toEqual(shape.map((size, axis) => (axis === channelAxis ? outputs : size)));
      expect(out.data.every(Number.isFinite)).toBe(true);
      weights.dispose();
      release([latent, cond]);
    });

    test('every parameter is used', async () => {
      const { model, weights, table, used } = smallModel(config);
      const latent = values(latents[0]!);
      const cond = condition(1);
      await run(model, cond, latent, 5);
      if (config._class_name === 'STDiT3') {
        const captions = nullCaptions(weights, 2);
        expect(captions.shape).toEqual([2, 5, 10]);
        captions.dispose();
      }
      expect([...used].sort()).toEqual(table.map(p => p.name).sort());
      weights.dispose();
      release([latent, cond]);
    });

    test('the hidden tokens keep their shape, so that their residual over all blocks can be added back', async () => {
      const { model, weights } = smallModel(config);
      const latent = values(latents[0]!);
      const cond = condition(1);
      const before = tf.memory().numTensors;
      const context = model.prepare(cond, latent.shape);
      const stream = model.embed(latent, 500, context);
      release(context);
      const tokens = await runBlocks(model, stream);
      expect(tokens.hidden.shape).toEqual(stream.tokens.hidden.shape);
      const rebuilt = tf.tidy(() => tf.add(stream.tokens.hidden, tf.sub(tokens.hidden, stream.tokens.hidden)));
      const [a, b] = [
        model.head({ ...stream, tokens }),
        model.head({ ...stream, tokens: { ...stream.tokens, hidden: rebuilt } }),
      ];
      expect(maxAbsDifference(a.dataSync(), b.dataSync())).toBeLessThan(1e-5);
      const signal = await model.signal(stream);
      expect(signal.dataSync().every(Number.isFinite)).toBe(true);
      release([signal, a, b, rebuilt, tokens, stream]);
      expect(tf.memory().numTensors).toBe(before);
      weights.dispose();
      release([latent, cond]);
    });
  });

  test('rows of a batch with texts of different lengths and times of their own do not mix', async () => {
    const { model, weights } = smallModel(openSora);
    const [x, captions] = [values([2, 3, 3, 3, 4]), values([2, 5, 10], 3)];
    const mask = [
      [1, 1, 1, 1, 0],
      [1, 0, 1, 0, 0],
    ];
    const size = { height: 48, width: 64 };
    const both = await run(model, { captions, mask, fps: [8, 24], ...size }, x, [900, 100]);
    for (const row of [0, 1]) {
      const alone = await run(
        model,
        { captions: tf.slice(captions, row, 1), mask: [mask[row]!], fps: [8, 24][row], ...size },
        tf.slice(x, row, 1),
        [900, 100][row]!,
      );
      const half = both.data.length / 2;
      expect(maxAbsDifference(both.data.subarray(row * half, (row + 1) * half), alone.data)).toBeLessThan(1e-5);
    }
    weights.dispose();
  });

  test('attention passes one tap that can be replaced', async () => {
    for (const { config, condition, latents } of samples) {
      const { model, weights } = smallModel(config);
      const seen = new Set<string>();
      const latent = values(latents[0]!);
      await run(model, condition(1), latent, 10, (name, compute) => {
        if (!name.endsWith('attention')) return compute();
        seen.add(name);
        const kept = compute();
        return (
          kept instanceof tf.Tensor ? tf.zerosLike(kept) : (kept as tf.Tensor[]).map(t => tf.zerosLike(t))
        ) as typeof kept;
      });
      expect([...seen].filter(name => /^[a-z]+_\d+\.attention$/.test(name))).toHaveLength(model.blocks.length);
      weights.dispose();
    }
  });
});

describeOnBackends('refusals', () => {
  test.each([
    [cogVideoX, { patch_size_t: 2 }, 'patch_size_t'],
    [cogVideoX, { ofs_embed_dim: 512 }, 'ofs_embed_dim'],
    [cogVideoX, { use_learned_positional_embeddings: true }, 'use_learned_positional_embeddings'],
    [cogVideoX, { activation_fn: 'gelu' }, 'activation_fn'],
    [cogVideoX, { attention_head_dim: 20 }, 'attention_head_dim'],
    [wan, { image_dim: 1280 }, 'image_dim'],
    [wan, { added_kv_proj_dim: 5120 }, 'added_kv_proj_dim'],
    [wan, { qk_norm: 'rms_norm' }, 'qk_norm'],
    [openSora, { skip_y_embedder: true }, 'skip_y_embedder'],
    [openSora, { num_heads: 8 }, 'hidden_size'],
  ])('of a configuration name the field: %#', (config, change, field) => {
    const { schema } = familyOf(config._class_name);
    expect(() => parseConfig(schema, { ...config, ...change }, 'config.json')).toThrow(ConfigError);
    expect(() => parseConfig(schema, { ...config, ...change }, 'config.json')).toThrow(field);
  });

  test.each([
    [wan, () => withText(1, 2), [1, 4, 1, 2, 2]],
    [wan, () => withText(1, 2), [1, 3, 1, 3, 2]],
    [cogVideoX, () => withText(1, 3), [1, 1, 3, 2, 2]],
    [cogVideoX, () => withText(1, 4), [1, 1, 3, 3, 2]],
    [openSora, () => openSoraCondition(2), [1, 3, 1, 2, 2]],
    [openSora, () => ({ ...openSoraCondition(1), mask: [[0, 0, 0, 0, 0]] }), [1, 3, 1, 2, 2]],
    [openSora, () => ({ ...openSoraCondition(1), frameMask: [[1]] }), [1, 3, 2, 2, 2]],
  ])('of a latent or condition that does not fit: %#', (config, cond, shape) => {
    const { model, weights } = smallModel(config);
    const given = cond();
    expect(() => model.prepare(given, shape)).toThrow(ShapeError);
    weights.dispose();
  });

  test('more patches than the rotary tables of Wan were made for', () => {
    const { model, weights } = smallModel(wan);
    expect(() => model.prepare(withText(1, 2), [1, 3, 17, 2, 2])).toThrow('rope_max_seq_len');
    weights.dispose();
  });
}, ['wasm']);
