/**
 * The encoders of T5 1.1 (Raffel et al., 2020; Shazeer, 2020; transformers `T5EncoderModel`) and of UMT5 (Chung et al.,
 * 2023; `UMT5EncoderModel`).
 *
 * Pre-norm blocks without biases; attention is not scaled by 1/√d; positions enter only as a bias of the scores, by the
 * distance of key and query. T5 has one such bias, in its first block, for all; UMT5 has one in every block.
 * Shapes: B prompts, N tokens, D width, H heads, d head width (H·d need not be D).
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { ShapeError } from '../../errors';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { geluTanh } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { linear } from '../../nn/linear';
import { rmsNorm } from '../../nn/norm';
import type { Params } from '../../nn/params';
import { range } from '../../nn/positions';
import { tidy } from '../../nn/scope';
import {
  linear as linearParameters,
  lookupTable,
  type ParameterTable,
  plain,
  repeated,
  vector,
  type WeightStore,
} from '../../weights/parameters';
import { lookUp } from '../../weights/rows';
import { idleInEncoders } from './idle-fields';
import { type EncodeOptions, idShape, type PromptEncoder, runLayers } from './prompt-encoder';

/** The score of a token that may not be looked at: the lowest float32. */
const NEVER = -3.4028234663852886e38;

export const t5Config = knowing(
  z.object({
    // Of a whole encoder-decoder the encoder alone is run.
    architectures: z.tuple([z.enum(['T5EncoderModel', 'UMT5EncoderModel', 'T5ForConditionalGeneration'])]),
    vocab_size: count(MOST.words).default(32128),
    d_model: count(MOST.channels).default(512),
    d_kv: count(MOST.channels).default(64),
    d_ff: count(MOST.channels).default(2048),
    num_layers: count(MOST.layers, 0).default(6),
    num_heads: count(MOST.heads).default(8),
    relative_attention_num_buckets: count(MOST.channels).multipleOf(4).default(32),
    relative_attention_max_distance: count(MOST.tokens).default(128),
    layer_norm_epsilon: z.number().positive().default(1e-6),
    // T5 1.0 has a plain ReLU layer; no text-to-image or text-to-video model uses it.
    feed_forward_proj: z.literal('gated-gelu', { error: 'only gated-gelu (T5 1.1, UMT5) is supported' }),
  }),
  {
    // They follow from feed_forward_proj, unless a file says otherwise.
    fixed: { dense_act_fn: ['gelu_new'], is_gated_act: [true] },
    idle: idleInEncoders,
  },
);

export type T5Config = z.infer<typeof t5Config>;

/** The table of token embeddings: files hold it under the first name, the second or, twice, both. */
export const T5_EMBEDDINGS = ['shared.weight', 'encoder.embed_tokens.weight'] as const;
export type T5Embeddings = (typeof T5_EMBEDDINGS)[number];

/** Whether a block has its own position bias. */
const hasBias = (c: T5Config, block: number): boolean => block === 0 || c.architectures[0] === 'UMT5EncoderModel';

/** Module prefix of every block. */
export function t5Blocks(c: T5Config): string[] {
  return range(c.num_layers).map(i => `encoder.block.${i}`);
}

/** Every parameter, as the hub's files name them. @param embeddings under which name the file holds the tokens */
export function t5Parameters(c: T5Config, embeddings: T5Embeddings = T5_EMBEDDINGS[0]): ParameterTable {
  const inner = c.num_heads * c.d_kv;
  return [
    lookupTable(embeddings, c.vocab_size, c.d_model),
    ...repeated('encoder.block', c.num_layers, i => [
      vector('layer.0.layer_norm.weight', c.d_model),
      ...['q', 'k', 'v'].flatMap(n => linearParameters(`layer.0.SelfAttention.${n}`, c.d_model, inner, false)),
      ...(hasBias(c, i)
        ? [
            plain('layer.0.SelfAttention.relative_attention_bias.weight', [
              c.relative_attention_num_buckets,
              c.num_heads,
            ]),
          ]
        : []),
      ...linearParameters('layer.0.SelfAttention.o', inner, c.d_model, false),
      vector('layer.1.layer_norm.weight', c.d_model),
      ...['wi_0', 'wi_1'].flatMap(n => linearParameters(`layer.1.DenseReluDense.${n}`, c.d_model, c.d_ff, false)),
      ...linearParameters('layer.1.DenseReluDense.wo', c.d_ff, c.d_model, false),
    ]),
    vector('encoder.final_layer_norm.weight', c.d_model),
  ];
}

/**
 * The bucket of a distance (key minus query). Half of the buckets are for keys behind the query, half for those
 * ahead; of each half, one half takes short distances one by one, the other longer ones on a logarithmic scale,
 * everything from the maximal distance on in its last. In float32 throughout, so that edges fall as in the reference.
 */
export function positionBucket(distance: number, c: T5Config): number {
  const half = c.relative_attention_num_buckets / 2;
  const exact = half / 2;
  const ahead = distance > 0 ? half : 0;
  const steps = Math.abs(distance);
  if (steps < exact) return ahead + steps;
  const { fround, log } = Math;
  const octaves = fround(fround(log(fround(steps / exact))) / fround(log(c.relative_attention_max_distance / exact)));
  return ahead + Math.min(half - 1, exact + Math.floor(fround(octaves * (half - exact))));
}

/**
 * The bias of every pair of tokens, `[H, N, N]`.
 * @param table `[buckets, H]`
 */
export function positionBias(table: tf.Tensor, length: number, c: T5Config): tf.Tensor {
  return tidy(() => {
    const buckets = Int32Array.from({ length: length * length }, (_, i) =>
      positionBucket((i % length) - Math.floor(i / length), c),
    );
    return tf.transpose(tf.gather(table, tf.tensor2d(buckets, [length, length], 'int32')), [2, 0, 1]);
  });
}

/** Padding that no token looks at, as a bias `[B, 1, 1, N]`. */
function maskBias(mask: readonly (readonly number[])[], batch: number, length: number): tf.Tensor {
  if (mask.length !== batch || mask.some(row => row.length !== length)) {
    throw new ShapeError(`The attention mask must be [${batch}, ${length}], as the token ids are.`);
  }
  return tf.tensor4d(
    mask.flat().map(keep => (keep === 0 ? NEVER : 0)),
    [batch, 1, 1, length],
  );
}

/** @param bias `[1 or B, H, N, N]` */
function block(p: Params, x: tf.Tensor, bias: tf.Tensor, c: T5Config): tf.Tensor {
  const [batch, length] = x.shape as [number, number, number];
  const look = p.at('layer.0.SelfAttention');
  const normed = rmsNorm(p.at('layer.0.layer_norm'), x, c.layer_norm_epsilon);
  const heads = (name: string): tf.Tensor =>
    tf.reshape(linear(look.at(name), normed), [batch, length, c.num_heads, c.d_kv]);
  const looked = attention(heads('q'), heads('k'), heads('v'), { bias, scale: 1 });
  const attended = tf.add(x, linear(look.at('o'), looked));

  const dense = p.at('layer.1.DenseReluDense');
  const fed = tidy(() => {
    const input = rmsNorm(p.at('layer.1.layer_norm'), attended, c.layer_norm_epsilon);
    return linear(dense.at('wo'), tf.mul(geluTanh(linear(dense.at('wi_0'), input)), linear(dense.at('wi_1'), input)));
  });
  return tf.add(attended, fed);
}

/** The encoder of T5 or UMT5. @param embeddings under which name the store holds the tokens */
export function createT5(
  config: T5Config,
  weights: WeightStore,
  embeddings: T5Embeddings = T5_EMBEDDINGS[0],
): PromptEncoder {
  return {
    width: config.d_model,
    async encode(ids, options: EncodeOptions = {}) {
      const { mask, see } = options;
      const [batch, length] = idShape(ids);
      const masked = mask && maskBias(mask, batch, length);
      let bias: tf.Tensor | undefined;

      /** The first block's bias serves until a block brings its own. */
      function biasOf(p: Params, index: number): tf.Tensor {
        if (!hasBias(config, index)) return bias as tf.Tensor;
        const own = tidy(() => {
          const table = p.tensor('layer.0.SelfAttention.relative_attention_bias.weight');
          const positions = tf.expandDims(positionBias(table, length, config), 0);
          return masked ? tf.add(positions, masked) : positions;
        });
        bias?.dispose();
        bias = tf.keep(own);
        return bias;
      }

      try {
        const rows = await lookUp(weights, embeddings, ids.flat());
        const embedded = tf.reshape(rows, [batch, length, config.d_model]);
        rows.dispose();
        see?.('embeddings', embedded);
        const names = t5Blocks(config);
        const run = (p: Params, x: tf.Tensor, i: number): tf.Tensor => block(p, x, biasOf(p, i), config);
        const hidden = await runLayers(weights, names, embedded, run, options);
        const norm = weights.resident.at('encoder.final_layer_norm');
        const lastHiddenState = tidy(() => rmsNorm(norm, hidden, config.layer_norm_epsilon));
        hidden.dispose();
        return { lastHiddenState };
      } finally {
        tf.dispose([masked, bias].filter(t => t !== undefined));
      }
    },
  };
}
