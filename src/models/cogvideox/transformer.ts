/**
 * CogVideoX 2B and 5B (Zhipu AI, 2024; diffusers `CogVideoXTransformer3DModel`).
 *
 * Text and video tokens as one sequence, each stream with its own modulation. The 2B model adds sine-cosine
 * positions to the tokens, the 5B model turns queries and keys instead.
 * Shapes: B batch, F frames, C latent channels, T text tokens, N video tokens, D = heads × head width.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { ShapeError } from '../../errors';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { silu } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { computeTypeOf } from '../../nn/bfloat16';
import { siluMlp, sinusoidal } from '../../nn/embeddings';
import { feedForward } from '../../nn/feed-forward';
import { linear } from '../../nn/linear';
import { affineLayerNorm, chunks, gated, modulatedLayerNorm } from '../../nn/norm';
import type { Params } from '../../nn/params';
import { patchEmbed, unpatchify } from '../../nn/patchify';
import { gridPositions, range, sincosTable } from '../../nn/positions';
import { applyRope, type Rope, ropeTables, shareRope } from '../../nn/rope';
import { tidy } from '../../nn/scope';
import { type Block, type Denoiser, type Stream, type Tap, type Tokens, untapped } from '../../transformer/denoiser';
import { perRow } from '../../transformer/timesteps';
import {
  linear as linearParameters,
  type ParameterTable,
  repeated,
  scoped,
  vector,
  type WeightStore,
} from '../../weights/parameters';
import { cropRegion, spread } from './grid';

const QK_EPS = 1e-6;

export const cogVideoXConfig = knowing(
  z
    .object({
      _class_name: z.literal('CogVideoXTransformer3DModel'),
      num_attention_heads: count(MOST.heads).default(30),
      attention_head_dim: count(MOST.channels).multipleOf(2).default(64),
      in_channels: count(MOST.channels).default(16),
      out_channels: count(MOST.channels).nullish().default(16),
      flip_sin_to_cos: z.literal(true).default(true),
      freq_shift: z.literal(0).default(0),
      time_embed_dim: count(MOST.channels).default(512),
      ofs_embed_dim: z.null({ error: 'the offset embedding of CogVideoX 1.5 is not supported' }).optional(),
      text_embed_dim: count(MOST.channels).default(4096),
      num_layers: count(MOST.layers, 0).default(30),
      attention_bias: z.boolean().default(true),
      sample_width: count(MOST.pixels).default(90),
      sample_height: count(MOST.pixels).default(60),
      sample_frames: count(MOST.frames).default(49),
      patch_size: count(MOST.patch).default(2),
      patch_size_t: z.null({ error: 'the temporal patches of CogVideoX 1.5 are not supported' }).optional(),
      temporal_compression_ratio: count(MOST.frames).default(4),
      max_text_seq_length: count(MOST.tokens).default(226),
      activation_fn: z.literal('gelu-approximate').default('gelu-approximate'),
      timestep_activation_fn: z.literal('silu').default('silu'),
      norm_elementwise_affine: z.literal(true).default(true),
      norm_eps: z.number().positive().default(1e-5),
      spatial_interpolation_scale: z.number().positive().default(1.875),
      temporal_interpolation_scale: z.number().positive().default(1),
      use_rotary_positional_embeddings: z.boolean().default(false),
      use_learned_positional_embeddings: z
        .literal(false, { error: 'learned positions (image to video) are not supported' })
        .default(false),
      patch_bias: z.boolean().default(true),
    })
    .refine(c => c.use_rotary_positional_embeddings || (c.num_attention_heads * c.attention_head_dim) % 16 === 0, {
      error: 'sine-cosine positions need a width that is a multiple of 16',
      path: ['attention_head_dim'],
    })
    .refine(c => !c.use_rotary_positional_embeddings || c.attention_head_dim % 16 === 0, {
      error: 'rotary positions need a head width that is a multiple of 16',
      path: ['attention_head_dim'],
    }),
  { idle: ['dropout'] },
);

export type CogVideoXConfig = z.infer<typeof cogVideoXConfig>;

/** What a CogVideoX run is conditioned on. */
export interface CogVideoXCondition {
  /** T5 states `[B, T, text_embed_dim]`. */
  readonly encoderHiddenStates: tf.Tensor;
  /** Rotary tables of the video tokens `[N, d]`; made from the latent's shape unless given. */
  readonly rope?: Rope;
  /** What 2B models add to the video tokens, `[1, N, D]`; made from the latent's shape unless given. */
  readonly positions?: tf.Tensor;
}

export interface CogVideoXContext {
  /** Projected text `[B, T, D]`. */
  readonly text: tf.Tensor;
  /** Added to the video tokens, `[1, N, D]`; in 2B models only. */
  readonly positions?: tf.Tensor;
  /** Rotary tables of text and video tokens, `[T + N, d]`; in 5B models only. Text is not turned. */
  readonly cos?: tf.Tensor | undefined;
  readonly sin?: tf.Tensor | undefined;
}

export interface CogVideoXShared {
  /** Time embedding `[B, time_embed_dim]`. */
  readonly time: tf.Tensor;
  /** Its SiLU, which every modulation reads. */
  readonly temb: tf.Tensor;
  /** Rotary tables of text and video tokens; in 5B models only. */
  readonly rope?: Rope;
  /** Shape of the latent, `[B, F, C, H, W]`. */
  readonly shape: LatentShape;
}

type LatentShape = readonly [number, number, number, number, number];

const width = (c: CogVideoXConfig): number => c.num_attention_heads * c.attention_head_dim;
const outChannels = (c: CogVideoXConfig): number => c.out_channels ?? c.in_channels;

/** Every parameter of a CogVideoX transformer, as diffusers names them. */
export function cogVideoXParameters(c: CogVideoXConfig): ParameterTable {
  const d = width(c);
  const norm = (name: string, size: number): ParameterTable => [
    vector(`${name}.weight`, size),
    vector(`${name}.bias`, size),
  ];
  const normZero = (name: string): ParameterTable =>
    scoped(name, [...linearParameters('linear', c.time_embed_dim, 6 * d), ...norm('norm', d)]);

  return [
    ...scoped('patch_embed', [
      { name: 'proj.weight', shape: [d, c.in_channels, c.patch_size, c.patch_size], layout: 'conv2d' },
      ...(c.patch_bias ? [vector('proj.bias', d)] : []),
      ...linearParameters('text_proj', c.text_embed_dim, d),
    ]),
    ...linearParameters('time_embedding.linear_1', d, c.time_embed_dim),
    ...linearParameters('time_embedding.linear_2', c.time_embed_dim, c.time_embed_dim),
    ...repeated('transformer_blocks', c.num_layers, () => [
      ...normZero('norm1'),
      ...scoped('attn1', [
        ...norm('norm_q', c.attention_head_dim),
        ...norm('norm_k', c.attention_head_dim),
        ...['to_q', 'to_k', 'to_v'].flatMap(n => linearParameters(n, d, d, c.attention_bias)),
        ...linearParameters('to_out.0', d, d),
      ]),
      ...normZero('norm2'),
      ...linearParameters('ff.net.0.proj', d, 4 * d),
      ...linearParameters('ff.net.2', 4 * d, d),
    ]),
    ...norm('norm_final', d),
    ...linearParameters('norm_out.linear', c.time_embed_dim, 2 * d),
    ...norm('norm_out.norm', d),
    ...linearParameters('proj_out', d, c.patch_size ** 2 * outChannels(c)),
  ];
}

type Six = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

/** One affine norm for both streams, each with its own shift, scale and gate. */
function normZero(p: Params, hidden: tf.Tensor, context: tf.Tensor, temb: tf.Tensor, eps: number) {
  const modulation = chunks(linear(p.at('linear'), temb), 6) as Six;
  const [shift, scale, gate, textShift, textScale, textGate] = modulation;
  const norm = (x: tf.Tensor, by: tf.Tensor, times: tf.Tensor): tf.Tensor =>
    tidy(() => modulatedLayerNorm(x, by, times, eps, p.at('norm')));
  return {
    hidden: () => norm(hidden, shift, scale),
    context: () => norm(context, textShift, textScale),
    gate,
    textGate,
  };
}

/** Attention over text and video together, queries and keys normalised per head. */
function attend(p: Params, joint: tf.Tensor, c: CogVideoXConfig, { rope }: CogVideoXShared): tf.Tensor {
  const [batch, tokens, width] = joint.shape as [number, number, number];
  const rows = tf.reshape(joint, [-1, width]);
  const split = (name: string): tf.Tensor =>
    tf.reshape(linear(p.at(name), rows), [batch, tokens, c.num_attention_heads, c.attention_head_dim]);
  const turned = (t: tf.Tensor): tf.Tensor => (rope ? applyRope(t, rope) : t);
  const q = tidy(() => turned(affineLayerNorm(p.at('norm_q'), split('to_q'), QK_EPS)));
  const k = tidy(() => turned(affineLayerNorm(p.at('norm_k'), split('to_k'), QK_EPS)));
  const v = split('to_v');
  return linear(
    p.at('to_out.0'),
    tidy(() => attention(q, k, v, { dtype: computeTypeOf(p.at('to_v')) })),
  );
}

/** Splits a joint sequence after its text tokens: `[text, video]`. */
function parted(joint: tf.Tensor, textTokens: number): [tf.Tensor, tf.Tensor] {
  return tf.split(joint, [textTokens, (joint.shape[1] as number) - textTokens], 1) as [tf.Tensor, tf.Tensor];
}

function block(index: number, c: CogVideoXConfig): Block<CogVideoXShared> {
  const name = `block_${index}`;
  return {
    name: `transformer_blocks.${index}`,
    run(p: Params, tokens: Tokens, shared: CogVideoXShared, tap: Tap): Tokens {
      const video = tokens.hidden;
      const text = tokens.context as tf.Tensor;
      const textTokens = text.shape[1] as number;

      const norm1 = normZero(p.at('norm1'), video, text, shared.temb, c.norm_eps);
      tap(`${name}.gate_msa`, () => norm1.gate);
      tap(`${name}.gate_msa_context`, () => norm1.textGate);
      const [videoOut, textOut] = tidy(() => {
        const normed = tap(`${name}.norm1`, norm1.hidden);
        const normedText = tap(`${name}.norm1_context`, norm1.context);
        return tap(`${name}.attention`, () => {
          const joint = attend(p.at('attn1'), tf.concat([normedText, normed], 1), c, shared);
          const [ofText, ofVideo] = parted(joint, textTokens);
          return [ofVideo, ofText];
        });
      }) as [tf.Tensor, tf.Tensor];
      tap(`${name}.attn1`, () => videoOut);
      tap(`${name}.attn1_context`, () => textOut);
      const video1 = gated(video, norm1.gate, videoOut);
      const text1 = gated(text, norm1.textGate, textOut);

      const norm2 = normZero(p.at('norm2'), video1, text1, shared.temb, c.norm_eps);
      const fed = tidy(() => {
        const joint = tf.concat([norm2.context(), norm2.hidden()], 1);
        return tap(`${name}.ff`, () => feedForward(p.at('ff.net.0.proj'), p.at('ff.net.2'), joint));
      });
      const [textFed, videoFed] = parted(fed, textTokens);
      return {
        hidden: gated(video1, norm2.gate, videoFed),
        context: gated(text1, norm2.textGate, textFed),
      };
    },
  };
}

function latentShape(shape: readonly number[], c: CogVideoXConfig): LatentShape {
  const [, , channels, height, columns] = shape;
  if (shape.length !== 5 || channels !== c.in_channels) {
    throw new ShapeError(`CogVideoX takes a latent [B, F, ${c.in_channels}, H, W]; [${shape.join(', ')}] was given.`);
  }
  if ((height as number) % c.patch_size !== 0 || (columns as number) % c.patch_size !== 0) {
    throw new ShapeError(`A latent of ${height} × ${columns} cannot be cut into patches of ${c.patch_size}.`);
  }
  return shape as unknown as LatentShape;
}

/** Positions of 2B models: a quarter of the channels for time, the rest for column and row. */
function addedPositions(c: CogVideoXConfig, [, frames, , height, columns]: LatentShape): tf.Tensor {
  const d = width(c);
  const spatial = (count: number): number[] =>
    range(count / c.patch_size).map(i => Math.fround(i / c.spatial_interpolation_scale));
  const times = range(frames).map(i => Math.fround(i / c.temporal_interpolation_scale));
  const grid = gridPositions(times, spatial(height), spatial(columns));
  const table = sincosTable(
    grid.map(([t, y, x]) => [t, x, y]),
    [d / 4, (3 * d) / 8, (3 * d) / 8],
  );
  return tf.expandDims(table, 0);
}

/** Positions of 5B models: the grid is stretched over the region of the trained grid that has its proportions. */
function videoRope(c: CogVideoXConfig, [, frames, , height, columns]: LatentShape): Rope {
  const trained = {
    rows: Math.floor(c.sample_height / c.patch_size),
    columns: Math.floor(c.sample_width / c.patch_size),
  };
  const grid = { rows: height / c.patch_size, columns: columns / c.patch_size };
  const region = cropRegion(grid, trained);
  const positions = gridPositions(
    range(frames),
    spread(region.top, region.top + region.rows, grid.rows),
    spread(region.left, region.left + region.columns, grid.columns),
  );
  const d = c.attention_head_dim;
  return ropeTables(positions, [d / 4, (3 * d) / 8, (3 * d) / 8]);
}

/** The CogVideoX transformer as `prepare`, `embed`, `blocks`, `head`. */
export function createCogVideoX(
  config: CogVideoXConfig,
  weights: WeightStore,
): Denoiser<CogVideoXCondition, CogVideoXContext, CogVideoXShared> {
  const p = weights.resident;
  const patch = [1, config.patch_size, config.patch_size] as const;

  return {
    weights,
    blocks: range(config.num_layers).map(i => block(i, config)),

    prepare(cond: CogVideoXCondition, shape: readonly number[]): CogVideoXContext {
      const latent = latentShape(shape, config);
      const textTokens = cond.encoderHiddenStates.shape[1] as number;
      if (!config.use_rotary_positional_embeddings && textTokens !== config.max_text_seq_length) {
        throw new ShapeError(`This model takes ${config.max_text_seq_length} text tokens; ${textTokens} were given.`, {
          hint: 'Pad the text to max_text_seq_length.',
        });
      }
      return tidy(() => {
        const text = linear(p.at('patch_embed.text_proj'), cond.encoderHiddenStates);
        if (!config.use_rotary_positional_embeddings) {
          return { text, positions: cond.positions?.clone() ?? addedPositions(config, latent) };
        }
        // Text is left as it is by an angle of zero, so that one table serves the joint sequence.
        const { cos, sin } = cond.rope ?? videoRope(config, latent);
        const still: [number, number] = [textTokens, config.attention_head_dim];
        return { text, cos: tf.concat([tf.ones(still), cos], 0), sin: tf.concat([tf.zeros(still), sin], 0) };
      });
    },

    embed(x, timestep, context, tap: Tap = untapped): Stream<CogVideoXShared> {
      const shape = latentShape(x.shape, config);
      const [batch, frames, channels, height, columns] = shape;
      return tidy(() => {
        const sine = tap('time_proj', () => sinusoidal(perRow(timestep, batch), width(config)));
        const time = tap('temb', () => siluMlp(p.at('time_embedding'), sine));
        // Frames stand before channels here, so each is a video of one frame.
        const single = tf.reshape(x, [batch * frames, channels, 1, height, columns]);
        const patches = tf.reshape(patchEmbed(p.at('patch_embed.proj'), single, patch), [batch, -1, width(config)]);
        const hidden = context.positions ? tf.add(patches, context.positions) : patches;
        const { cos, sin } = context;
        return {
          tokens: { hidden, context: context.text.clone() },
          shared: { time, temb: silu(time), ...(cos && sin && { rope: shareRope({ cos, sin }) }), shape },
        };
      });
    },

    head({ tokens, shared }, tap: Tap = untapped): tf.Tensor {
      return tidy(() => {
        const final = tap('norm_final', () => affineLayerNorm(p.at('norm_final'), tokens.hidden, config.norm_eps));
        const [shift, scale] = chunks(linear(p.at('norm_out.linear'), shared.temb), 2) as [tf.Tensor, tf.Tensor];
        const normed = tap('norm_out', () =>
          modulatedLayerNorm(final, shift, scale, config.norm_eps, p.at('norm_out.norm')),
        );
        const patches = tap('proj_out', () => linear(p.at('proj_out'), normed));
        const [batch, frames, , height, columns] = shared.shape;
        const channels = outChannels(config);
        // The projection's channels are (c, dy, dx); patches are cut as (dy, dx, c).
        const channelLast = tf.transpose(tf.reshape(patches, [-1, channels, config.patch_size ** 2]), [0, 2, 1]);
        const rows = tf.reshape(channelLast, [batch * frames, -1, config.patch_size ** 2 * channels]);
        const video = unpatchify(rows, [batch * frames, channels, 1, height, columns], patch);
        return tf.reshape(video, [batch, frames, channels, height, columns]);
      });
    },

    /** TeaCache compares the time embedding of CogVideoX; its published polynomials belong to it. */
    async signal({ shared }): Promise<tf.Tensor> {
      return shared.time.clone();
    },
  };
}
