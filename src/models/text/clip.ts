/**
 * CLIP's text encoder (Radford et al., 2021; transformers `CLIPTextModel`).
 *
 * A causal transformer, pre-norm. What pictures are compared with, and FLUX is conditioned on, is the state at the end
 * of the text, which alone has seen all of it.
 * Shapes: B prompts, N tokens, D width, H heads.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { gelu, quickGelu } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { linear } from '../../nn/linear';
import { affineLayerNorm } from '../../nn/norm';
import type { Params } from '../../nn/params';
import { range } from '../../nn/positions';
import { tidy } from '../../nn/scope';
import {
  linear as linearParameters,
  lookupTable,
  type ParameterTable,
  plain,
  repeated,
  scoped,
  vector,
  type WeightStore,
} from '../../weights/parameters';
import { lookUp } from '../../weights/rows';
import { idleInEncoders } from './idle-fields';
import { type EncodeOptions, idShape, type PromptEncoder, runLayers } from './prompt-encoder';

/** Old configurations name this end-of-text id, though the vocabulary's is its last. */
const LEGACY_END = 2;
/** Added to the scores of tokens that may not be looked at. */
const NEVER = -3.4028234663852886e38;

const ACTIVATIONS = { quick_gelu: quickGelu, gelu } as const;

export const clipTextConfig = knowing(
  z
    .object({
      architectures: z.tuple([z.literal('CLIPTextModel')]),
      vocab_size: count(MOST.words).default(49408),
      hidden_size: count(MOST.channels).default(512),
      intermediate_size: count(MOST.channels).default(2048),
      num_hidden_layers: count(MOST.layers, 0).default(12),
      num_attention_heads: count(MOST.heads).default(8),
      max_position_embeddings: count(MOST.tokens).default(77),
      hidden_act: z.enum(['quick_gelu', 'gelu']).default('quick_gelu'),
      layer_norm_eps: z.number().positive().default(1e-5),
      eos_token_id: count(MOST.words, 0).default(49407),
    })
    .refine(c => c.hidden_size % c.num_attention_heads === 0, {
      path: ['hidden_size'],
      error: 'is not a multiple of num_attention_heads',
    }),
  { idle: idleInEncoders },
);

export type ClipTextConfig = z.infer<typeof clipTextConfig>;

const ROOT = 'text_model';
const TOKENS = `${ROOT}.embeddings.token_embedding.weight`;

/** Module prefix of every layer. */
export function clipTextLayers(c: ClipTextConfig): string[] {
  return range(c.num_hidden_layers).map(i => `${ROOT}.encoder.layers.${i}`);
}

/** Every parameter, as the hub's files name them. */
export function clipTextParameters(c: ClipTextConfig): ParameterTable {
  const d = c.hidden_size;
  const norm = (name: string): ParameterTable => [vector(`${name}.weight`, d), vector(`${name}.bias`, d)];
  return [
    lookupTable(TOKENS, c.vocab_size, d),
    ...scoped(ROOT, [
      plain('embeddings.position_embedding.weight', [c.max_position_embeddings, d]),
      ...repeated('encoder.layers', c.num_hidden_layers, () => [
        ...norm('layer_norm1'),
        ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap(n => linearParameters(`self_attn.${n}`, d, d)),
        ...norm('layer_norm2'),
        ...linearParameters('mlp.fc1', d, c.intermediate_size),
        ...linearParameters('mlp.fc2', c.intermediate_size, d),
      ]),
      ...norm('final_layer_norm'),
    ]),
  ];
}

function layer(p: Params, x: tf.Tensor, causal: tf.Tensor, c: ClipTextConfig): tf.Tensor {
  const heads = (name: string, t: tf.Tensor): tf.Tensor =>
    tf.reshape(linear(p.at(`self_attn.${name}`), t), [
      t.shape[0] as number,
      t.shape[1] as number,
      c.num_attention_heads,
      -1,
    ]);
  const normed = affineLayerNorm(p.at('layer_norm1'), x, c.layer_norm_eps);
  const looked = attention(heads('q_proj', normed), heads('k_proj', normed), heads('v_proj', normed), { bias: causal });
  const attended = tf.add(x, linear(p.at('self_attn.out_proj'), looked));

  const wide = linear(p.at('mlp.fc1'), affineLayerNorm(p.at('layer_norm2'), attended, c.layer_norm_eps));
  return tf.add(attended, linear(p.at('mlp.fc2'), ACTIVATIONS[c.hidden_act](wide)));
}

/** No token looks at a later one: `[1, 1, N, N]`. */
function causalBias(length: number): tf.Tensor {
  const values = new Float32Array(length * length);
  for (let i = 0; i < length; i++) values.fill(NEVER, i * length + i + 1, (i + 1) * length);
  return tf.tensor4d(values, [1, 1, length, length]);
}

/** Where a text ends: at its first end-of-text token. */
function endOf(row: readonly number[], c: ClipTextConfig): number {
  const end = c.eos_token_id === LEGACY_END ? row.indexOf(Math.max(...row)) : row.indexOf(c.eos_token_id);
  return Math.max(0, end);
}

/** CLIP's text encoder. Padding is looked at like text, as in training. */
export function createClipText(config: ClipTextConfig, weights: WeightStore): PromptEncoder {
  const p = weights.resident.at(ROOT);
  const d = config.hidden_size;

  return {
    width: d,
    async encode(ids, options: EncodeOptions = {}) {
      const { see } = options;
      const [batch, length] = idShape(ids, config.max_position_embeddings);
      const tokens = await lookUp(weights, TOKENS, ids.flat());
      const embedded = tidy(() => {
        const positions = tf.slice(p.tensor('embeddings.position_embedding.weight'), 0, length);
        return tf.add(tf.reshape(tokens, [batch, length, d]), positions);
      });
      tokens.dispose();
      see?.('embeddings', embedded);
      const causal = causalBias(length);
      try {
        const names = clipTextLayers(config);
        const hidden = await runLayers(weights, names, embedded, (q, x) => layer(q, x, causal, config), options);
        const lastHiddenState = tidy(() => affineLayerNorm(p.at('final_layer_norm'), hidden, config.layer_norm_eps));
        hidden.dispose();
        const pooled = tidy(() => {
          const ends = ids.map((row, i) => i * length + endOf(row, config));
          return tf.gather(tf.reshape(lastHiddenState, [batch * length, d]), tf.tensor1d(ends, 'int32'));
        });
        return { lastHiddenState, pooled };
      } finally {
        causal.dispose();
      }
    },
  };
}
