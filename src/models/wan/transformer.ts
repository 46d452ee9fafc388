/**
 * Wan2.1 text to video (Wan Team, 2025; diffusers `WanTransformer3DModel`).
 *
 * One stream of video tokens: self-attention with rotary positions, cross-attention to the text, feed-forward.
 * Shapes: B batch, C latent channels, F frames, T text tokens, N video tokens, D = heads × head width.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { ConfigError, ShapeError } from '../../errors';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { geluTanh, silu } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { computeTypeOf } from '../../nn/bfloat16';
import { siluMlp, sinusoidal } from '../../nn/embeddings';
import { feedForward } from '../../nn/feed-forward';
import { linear } from '../../nn/linear';
import { affineLayerNorm, gated, layerNorm, modulatedLayerNorm, rmsNorm } from '../../nn/norm';
import type { Params } from '../../nn/params';
import { type Patch, patchEmbed, unpatchify, type VideoShape } from '../../nn/patchify';
import { gridPositions, range } from '../../nn/positions';
import { applyRope, type Rope, ropeTables, shareRope } from '../../nn/rope';
import { tidy } from '../../nn/scope';
import { type Block, type Denoiser, type Stream, type Tap, type Tokens, untapped } from '../../transformer/denoiser';
import { perRow } from '../../transformer/timesteps';
import {
  linear as linearParameters,
  type ParameterTable,
  plain,
  repeated,
  scoped,
  vector,
  type WeightStore,
} from '../../weights/parameters';

export const wanConfig = knowing(
  z.object({
    _class_name: z.literal('WanTransformer3DModel'),
    patch_size: z.tuple([count(MOST.patch), count(MOST.patch), count(MOST.patch)]).default([1, 2, 2]),
    num_attention_heads: count(MOST.heads).default(40),
    attention_head_dim: count(MOST.channels, 6).multipleOf(2).default(128),
    in_channels: count(MOST.channels).default(16),
    out_channels: count(MOST.channels).nullish().default(16),
    text_dim: count(MOST.channels).default(4096),
    freq_dim: count(MOST.channels).multipleOf(2).default(256),
    ffn_dim: count(MOST.channels).default(13824),
    num_layers: count(MOST.layers, 0).default(40),
    cross_attn_norm: z.boolean().default(true),
    qk_norm: z.literal('rms_norm_across_heads').default('rms_norm_across_heads'),
    eps: z.number().positive().default(1e-6),
    rope_max_seq_len: count(MOST.tokens).default(1024),
    // Image-to-video models condition on a picture; ertacache runs the text-to-video ones.
    image_dim: z.null({ error: 'image conditioning is not supported' }).optional(),
    added_kv_proj_dim: z.null({ error: 'image conditioning is not supported' }).optional(),
    pos_embed_seq_len: z.null({ error: 'image conditioning is not supported' }).optional(),
  }),
);

export type WanConfig = z.infer<typeof wanConfig>;

/** What a Wan run is conditioned on. */
export interface WanCondition {
  /** UMT5 states `[B, T, text_dim]`; rows of padding are zeros and are attended to like any other. */
  readonly encoderHiddenStates: tf.Tensor;
  /** Rotary tables of the video tokens `[N, d]`; made from the latent's shape unless given. */
  readonly rope?: Rope;
}

export interface WanContext extends Rope {
  /** Projected text `[B, T, D]`. */
  readonly text: tf.Tensor;
}

export interface WanShared extends WanContext {
  /** Time embedding `[B, D]`, which the head reads. */
  readonly temb: tf.Tensor;
  /** Its six-way projection `[B, 6, D]`, which the blocks read. */
  readonly timestepProj: tf.Tensor;
  /** Shape of the latent `[B, C, F, H, W]`. */
  readonly shape: VideoShape;
}

const width = (c: WanConfig): number => c.num_attention_heads * c.attention_head_dim;
const outChannels = (c: WanConfig): number => c.out_channels ?? c.in_channels;

/** Every parameter of a Wan transformer, as diffusers names them. */
export function wanParameters(c: WanConfig): ParameterTable {
  const d = width(c);
  const mlp = (inputs: number): ParameterTable => [
    ...linearParameters('linear_1', inputs, d),
    ...linearParameters('linear_2', d, d),
  ];
  const attentionParameters = (name: string): ParameterTable =>
    scoped(name, [
      vector('norm_q.weight', d),
      vector('norm_k.weight', d),
      ...['to_q', 'to_k', 'to_v', 'to_out.0'].flatMap(n => linearParameters(n, d, d)),
    ]);

  return [
    { name: 'patch_embedding.weight', shape: [d, c.in_channels, ...c.patch_size], layout: 'conv3d' },
    vector('patch_embedding.bias', d),
    ...scoped('condition_embedder', [
      ...scoped('time_embedder', mlp(c.freq_dim)),
      ...linearParameters('time_proj', d, 6 * d),
      ...scoped('text_embedder', mlp(c.text_dim)),
    ]),
    ...repeated('blocks', c.num_layers, () => [
      plain('scale_shift_table', [1, 6, d]),
      ...attentionParameters('attn1'),
      ...(c.cross_attn_norm ? [vector('norm2.weight', d), vector('norm2.bias', d)] : []),
      ...attentionParameters('attn2'),
      ...linearParameters('ffn.net.0.proj', d, c.ffn_dim),
      ...linearParameters('ffn.net.2', c.ffn_dim, d),
    ]),
    plain('scale_shift_table', [1, 2, d]),
    ...linearParameters('proj_out', d, outChannels(c) * c.patch_size.reduce((a, b) => a * b, 1)),
  ];
}

/**
 * Attention of `x` to `source`. Queries and keys are normalised over all heads together, then turned.
 * Each of the three is made in its own scope: for a long video their intermediates would be most of the memory.
 */
function attend(p: Params, x: tf.Tensor, source: tf.Tensor, c: WanConfig, rope?: Rope): tf.Tensor {
  const rowsOf = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [-1, t.shape[2] as number]);
  const rows = rowsOf(x);
  const seen = source === x ? rows : rowsOf(source);
  const split = (t: tf.Tensor): tf.Tensor =>
    tf.reshape(t, [x.shape[0] as number, -1, c.num_attention_heads, c.attention_head_dim]);
  const turned = (t: tf.Tensor): tf.Tensor => (rope ? applyRope(split(t), rope) : split(t));
  const q = tidy(() => turned(rmsNorm(p.at('norm_q'), linear(p.at('to_q'), rows), c.eps)));
  const k = tidy(() => turned(rmsNorm(p.at('norm_k'), linear(p.at('to_k'), seen), c.eps)));
  const v = split(linear(p.at('to_v'), seen));
  return linear(
    p.at('to_out.0'),
    tidy(() => attention(q, k, v, { dtype: computeTypeOf(p.at('to_v')) })),
  );
}

type Six = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

/** Self-attention and feed-forward are modulated and gated by time; cross-attention to the text is neither. */
function block(index: number, c: WanConfig): Block<WanShared> {
  const name = `block_${index}`;
  return {
    name: `blocks.${index}`,
    run(p: Params, { hidden }: Tokens, shared: WanShared, tap: Tap): Tokens {
      const { text, timestepProj } = shared;
      const modulation = tf.split(tf.add(p.tensor('scale_shift_table'), timestepProj), 6, 1) as Six;
      const [shift, scale, gate, ffnShift, ffnScale, ffnGate] = modulation;

      const attended = tidy(() => {
        tap.aside?.(`${name}.norm1`, () => layerNorm(hidden, c.eps));
        const normed = modulatedLayerNorm(hidden, shift, scale, c.eps);
        return tap(`${name}.attention`, () => attend(p.at('attn1'), normed, normed, c, shared));
      });
      tap(`${name}.attn1`, () => attended);
      const looked = gated(hidden, gate, attended);

      const crossed = tidy(() => {
        const norm = (): tf.Tensor => (c.cross_attn_norm ? affineLayerNorm(p.at('norm2'), looked, c.eps) : looked);
        const normed = tap(`${name}.norm2`, norm);
        return tap(`${name}.cross_attention`, () => attend(p.at('attn2'), normed, text, c));
      });
      tap(`${name}.attn2`, () => crossed);
      const read = tf.add(looked, crossed);

      const fed = tidy(() => {
        const normed = modulatedLayerNorm(read, ffnShift, ffnScale, c.eps);
        return tap(`${name}.ffn`, () => feedForward(p.at('ffn.net.0.proj'), p.at('ffn.net.2'), normed));
      });
      return { hidden: gated(read, ffnGate, fed) };
    },
  };
}

/** The shape of a latent, checked: whole patches, and no more of them than the rotary tables were made for. */
function videoShape(shape: readonly number[], c: WanConfig): VideoShape {
  const [, channels, ...axes] = shape;
  if (shape.length !== 5 || channels !== c.in_channels) {
    throw new ShapeError(`Wan takes a latent [B, ${c.in_channels}, F, H, W]; [${shape.join(', ')}] was given.`);
  }
  axes.forEach((size, i) => {
    const patch = c.patch_size[i] as number;
    const axis = ['frames', 'rows', 'columns'][i];
    if (size % patch !== 0) {
      throw new ShapeError(`The latent has ${size} ${axis}, which is not a multiple of the patch (${patch}).`);
    }
    if (size / patch > c.rope_max_seq_len) {
      throw new ConfigError(
        `${size / patch} patches of ${axis} are more than rope_max_seq_len, ${c.rope_max_seq_len}.`,
      );
    }
  });
  return shape as unknown as VideoShape;
}

/** How many of a head's channels turn with the frame, the row and the column. */
export function wanRopeDims({ attention_head_dim: width }: WanConfig): [number, number, number] {
  const spatial = 2 * Math.floor(width / 6);
  return [width - 2 * spatial, spatial, spatial];
}

type Axes = [number[], number[], number[]];

/** The Wan transformer as `prepare`, `embed`, `blocks`, `head`. */
export function createWan(config: WanConfig, weights: WeightStore): Denoiser<WanCondition, WanContext, WanShared> {
  const p = weights.resident;
  const embedder = p.at('condition_embedder');
  const patch: Patch = config.patch_size;
  const [pt, ph, pw] = patch;

  return {
    weights,
    blocks: range(config.num_layers).map(i => block(i, config)),

    prepare(cond: WanCondition, shape: readonly number[], tap: Tap = untapped): WanContext {
      const [, , frames, height, width] = videoShape(shape, config);
      return tidy(() => {
        const grid = [frames / pt, height / ph, width / pw] as const;
        const { cos, sin } = cond.rope ?? ropeTables(gridPositions(...(grid.map(range) as Axes)), wanRopeDims(config));
        const tokens = grid[0] * grid[1] * grid[2];
        const table = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [1, tokens, 1, config.attention_head_dim]);
        const project = embedder.at('text_embedder');
        return {
          text: tap('text_embed', () =>
            linear(project.at('linear_2'), geluTanh(linear(project.at('linear_1'), cond.encoderHiddenStates))),
          ),
          cos: tap('rope_cos', () => table(cos)),
          sin: tap('rope_sin', () => table(sin)),
        };
      });
    },

    embed(x, timestep, context, tap: Tap = untapped): Stream<WanShared> {
      const shape = videoShape(x.shape, config);
      return tidy(() => {
        const time = tap('time_proj', () => sinusoidal(perRow(timestep, shape[0]), config.freq_dim));
        const temb = tap('temb', () => siluMlp(embedder.at('time_embedder'), time));
        const timestepProj = tap('timestep_proj', () =>
          tf.reshape(linear(embedder.at('time_proj'), silu(temb)), [shape[0], 6, -1]),
        );
        const hidden = tap('patch_embed', () => patchEmbed(p.at('patch_embedding'), x, patch));
        return {
          tokens: { hidden },
          shared: { text: context.text.clone(), ...shareRope(context), temb, timestepProj, shape },
        };
      });
    },

    head({ tokens, shared }, tap: Tap = untapped): tf.Tensor {
      return tidy(() => {
        const table = tf.add(p.tensor('scale_shift_table'), tf.expandDims(shared.temb, 1));
        const [shift, scale] = tf.split(table, 2, 1) as [tf.Tensor, tf.Tensor];
        tap.aside?.('norm_out', () => layerNorm(tokens.hidden, config.eps));
        const normed = modulatedLayerNorm(tokens.hidden, shift, scale, config.eps);
        const patches = tap('proj_out', () => linear(p.at('proj_out'), normed));
        const [batch, , ...axes] = shared.shape;
        return unpatchify(patches, [batch, outChannels(config), ...axes], patch);
      });
    },

    /** TeaCache compares Wan's time embedding itself; its published polynomials without retention belong to it. */
    async signal({ shared }): Promise<tf.Tensor> {
      return shared.temb.clone();
    },
  };
}
