/**
 * FLUX.1, a rectified-flow transformer (Black Forest Labs, 2024; diffusers `FluxTransformer2DModel`).
 *
 * Text and image tokens go through double blocks (two streams, one attention) and then through single blocks
 * (one stream, attention and feed-forward in parallel). Shapes: B batch, T text tokens, N image tokens,
 * D = heads × head width, C latent channels of a token.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { silu } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { computeTypeOf } from '../../nn/bfloat16';
import { siluMlp, sinusoidal } from '../../nn/embeddings';
import { linear } from '../../nn/linear';
import { chunks, gated, modulatedLayerNorm, rmsNorm } from '../../nn/norm';
import type { Params } from '../../nn/params';
import { applyRope, type Rope, ropeTables } from '../../nn/rope';
import { share, tidy } from '../../nn/scope';
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

const EPS = 1e-6;
const TIME_WIDTH = 256;

export const fluxConfig = knowing(
  z
    .object({
      _class_name: z.literal('FluxTransformer2DModel'),
      patch_size: z.literal(1).default(1),
      in_channels: count(MOST.channels).default(64),
      out_channels: count(MOST.channels).nullish(),
      num_layers: count(MOST.layers, 0).default(19),
      num_single_layers: count(MOST.layers, 0).default(38),
      attention_head_dim: count(MOST.channels).multipleOf(2).default(128),
      num_attention_heads: count(MOST.heads).default(24),
      joint_attention_dim: count(MOST.channels).default(4096),
      pooled_projection_dim: count(MOST.channels).default(768),
      guidance_embeds: z.boolean().default(false),
      axes_dims_rope: z.array(count(MOST.channels).multipleOf(2)).length(3).default([16, 56, 56]),
    })
    .refine(c => c.axes_dims_rope.reduce((a, b) => a + b, 0) === c.attention_head_dim, {
      error: 'axes_dims_rope must add up to attention_head_dim',
    }),
);

export type FluxConfig = z.infer<typeof fluxConfig>;

/** What a FLUX run is conditioned on. */
export interface FluxCondition {
  /** T5 states `[B, T, joint_attention_dim]`. */
  readonly encoderHiddenStates: tf.Tensor;
  /** Pooled CLIP vector `[B, pooled_projection_dim]`. */
  readonly pooledProjections: tf.Tensor;
  /** Distilled guidance, one per row; for models with `guidance_embeds` only. */
  readonly guidance?: readonly number[] | tf.Tensor;
  /** Position of every image token, `[0, row, column]`; not looked at where `rope` is given. */
  readonly imgIds: readonly (readonly number[])[];
  /** Position of every text token, zeros; that is also the default. */
  readonly txtIds?: readonly (readonly number[])[];
  /** Rotary tables of text and image tokens `[T + N, d]`; made from the positions unless given. */
  readonly rope?: Rope;
}

export interface FluxContext extends Rope {
  readonly context: tf.Tensor;
  /** The part of the conditioning vector that no step changes: pooled text and guidance, `[B, D]`. */
  readonly conditioning: tf.Tensor;
}

export interface FluxShared extends Rope {
  /** SiLU of the conditioning vector, which every modulation reads, `[B, D]`. */
  readonly temb: tf.Tensor;
}

/** Every parameter of a FLUX transformer, as diffusers names them. */
export function fluxParameters(c: FluxConfig): ParameterTable {
  const width = c.num_attention_heads * c.attention_head_dim;
  const mlp = (inputs: number): ParameterTable => [
    ...linearParameters('linear_1', inputs, width),
    ...linearParameters('linear_2', width, width),
  ];
  const feedForward = (name: string): ParameterTable =>
    scoped(name, [...linearParameters('net.0.proj', width, 4 * width), ...linearParameters('net.2', 4 * width, width)]);
  const norms = (...names: string[]): ParameterTable => names.map(n => vector(`${n}.weight`, c.attention_head_dim));
  const projections = (...names: string[]): ParameterTable => names.flatMap(n => linearParameters(n, width, width));

  return [
    ...scoped('time_text_embed', [
      ...scoped('timestep_embedder', mlp(TIME_WIDTH)),
      ...(c.guidance_embeds ? scoped('guidance_embedder', mlp(TIME_WIDTH)) : []),
      ...scoped('text_embedder', mlp(c.pooled_projection_dim)),
    ]),
    ...linearParameters('context_embedder', c.joint_attention_dim, width),
    ...linearParameters('x_embedder', c.in_channels, width),
    ...repeated('transformer_blocks', c.num_layers, () => [
      ...linearParameters('norm1.linear', width, 6 * width),
      ...linearParameters('norm1_context.linear', width, 6 * width),
      ...scoped('attn', [
        ...norms('norm_q', 'norm_k', 'norm_added_q', 'norm_added_k'),
        ...projections('to_q', 'to_k', 'to_v', 'to_out.0'),
        ...projections('add_q_proj', 'add_k_proj', 'add_v_proj', 'to_add_out'),
      ]),
      ...feedForward('ff'),
      ...feedForward('ff_context'),
    ]),
    ...repeated('single_transformer_blocks', c.num_single_layers, () => [
      ...linearParameters('norm.linear', width, 3 * width),
      ...linearParameters('proj_mlp', width, 4 * width),
      ...linearParameters('proj_out', 5 * width, width),
      ...scoped('attn', [...norms('norm_q', 'norm_k'), ...projections('to_q', 'to_k', 'to_v')]),
    ]),
    ...linearParameters('norm_out.linear', width, 2 * width),
    ...linearParameters('proj_out', width, c.out_channels ?? c.in_channels),
  ];
}

/** Queries, keys and values of one stream, `[B, N, H, d]`, queries and keys normalised per head. */
function heads(p: Params, x: tf.Tensor, count: number, names: { q: string; k: string; v: string; norm: string }) {
  const split = (name: string): tf.Tensor =>
    tf.reshape(linear(p.at(name), x), [x.shape[0] as number, x.shape[1] as number, count, -1]);
  return {
    q: rmsNorm(p.at(`${names.norm}q`), split(names.q), EPS),
    k: rmsNorm(p.at(`${names.norm}k`), split(names.k), EPS),
    v: split(names.v),
  };
}

const IMAGE_HEADS = { q: 'to_q', k: 'to_k', v: 'to_v', norm: 'norm_' };
const TEXT_HEADS = { q: 'add_q_proj', k: 'add_k_proj', v: 'add_v_proj', norm: 'norm_added_' };

function feedForward(p: Params, x: tf.Tensor): tf.Tensor {
  return linear(p.at('net.2'), linear(p.at('net.0.proj'), x, { activation: 'geluTanh' }));
}

/** Image and text, each with its own weights, meeting in one attention. */
function doubleBlock(index: number, headCount: number): Block<FluxShared> {
  const name = `double_${index}`;
  return {
    name: `transformer_blocks.${index}`,
    run(p: Params, tokens: Tokens, { temb, cos, sin }: FluxShared, tap: Tap): Tokens {
      const image = tokens.hidden;
      const text = tokens.context as tf.Tensor;
      const textTokens = text.shape[1] as number;
      const [shift, scale, gate, mlpShift, mlpScale, mlpGate] = chunks(linear(p.at('norm1.linear'), temb), 6) as Six;
      const [cShift, cScale, cGate, cMlpShift, cMlpScale, cMlpGate] = chunks(
        linear(p.at('norm1_context.linear'), temb),
        6,
      ) as Six;
      tap(`${name}.gate_msa`, () => tf.squeeze(gate, [1]));

      const normed = tap(`${name}.norm1`, () => modulatedLayerNorm(image, shift, scale, EPS));
      const [imageOut, textOut] = tap(`${name}.attention`, () => {
        const i = heads(p.at('attn'), normed, headCount, IMAGE_HEADS);
        const t = heads(p.at('attn'), modulatedLayerNorm(text, cShift, cScale, EPS), headCount, TEXT_HEADS);
        const q = applyRope(tf.concat([t.q, i.q], 1), { cos, sin });
        const k = applyRope(tf.concat([t.k, i.k], 1), { cos, sin });
        const joint = attention(q, k, tf.concat([t.v, i.v], 1), { dtype: computeTypeOf(p.at('attn.to_v')) });
        const [ofText, ofImage] = tf.split(joint, [textTokens, (joint.shape[1] as number) - textTokens], 1);
        return [
          linear(p.at('attn.to_out.0'), ofImage as tf.Tensor),
          linear(p.at('attn.to_add_out'), ofText as tf.Tensor),
        ];
      }) as [tf.Tensor, tf.Tensor];
      tap(`${name}.attn`, () => imageOut);
      tap(`${name}.attn_context`, () => textOut);

      const image1 = gated(image, gate, imageOut);
      const text1 = gated(text, cGate, textOut);
      const ff = tap(`${name}.ff`, () => feedForward(p.at('ff'), modulatedLayerNorm(image1, mlpShift, mlpScale, EPS)));
      const ffContext = tap(`${name}.ff_context`, () =>
        feedForward(p.at('ff_context'), modulatedLayerNorm(text1, cMlpShift, cMlpScale, EPS)),
      );
      return {
        hidden: gated(image1, mlpGate, ff),
        context: gated(text1, cMlpGate, ffContext),
      };
    },
  };
}

type Six = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

/** Text and image as one sequence; attention and feed-forward side by side, joined by one projection. */
function singleBlock(index: number, headCount: number): Block<FluxShared> {
  const name = `single_${index}`;
  return {
    name: `single_transformer_blocks.${index}`,
    run(p: Params, tokens: Tokens, { temb, cos, sin }: FluxShared, tap: Tap): Tokens {
      const text = tokens.context as tf.Tensor;
      const textTokens = text.shape[1] as number;
      const joint = tf.concat([text, tokens.hidden], 1);
      const [shift, scale, gate] = chunks(linear(p.at('norm.linear'), temb), 3) as [tf.Tensor, tf.Tensor, tf.Tensor];
      tap(`${name}.gate`, () => tf.squeeze(gate, [1]));

      const normed = tap(`${name}.norm`, () => modulatedLayerNorm(joint, shift, scale, EPS));
      const mlp = tap(`${name}.mlp`, () => linear(p.at('proj_mlp'), normed, { activation: 'geluTanh' }));
      const attended = tap(`${name}.attention`, () => {
        const { q, k, v } = heads(p.at('attn'), normed, headCount, IMAGE_HEADS);
        const dtype = computeTypeOf(p.at('attn.to_v'));
        return attention(applyRope(q, { cos, sin }), applyRope(k, { cos, sin }), v, { dtype });
      });
      tap(`${name}.attn`, () => attended);

      const out = linear(p.at('proj_out'), tf.concat([attended, mlp], -1));
      const [context, hidden] = tf.split(
        gated(joint, gate, out),
        [textTokens, (joint.shape[1] as number) - textTokens],
        1,
      ) as [tf.Tensor, tf.Tensor];
      return { hidden, context };
    },
  };
}

/** The FLUX transformer as `prepare`, `embed`, `blocks`, `head`. */
export function createFlux(config: FluxConfig, weights: WeightStore): Denoiser<FluxCondition, FluxContext, FluxShared> {
  const p = weights.resident;
  const embedder = p.at('time_text_embed');

  return {
    weights,
    blocks: [
      ...Array.from({ length: config.num_layers }, (_, i) => doubleBlock(i, config.num_attention_heads)),
      ...Array.from({ length: config.num_single_layers }, (_, i) => singleBlock(i, config.num_attention_heads)),
    ],

    prepare(cond: FluxCondition, shape: readonly number[], tap: Tap = untapped): FluxContext {
      return tidy(() => {
        const textTokens = cond.encoderHiddenStates.shape[1] as number;
        const txtIds = cond.txtIds ?? Array.from({ length: textTokens }, () => [0, 0, 0]);
        const { cos, sin } = cond.rope ?? ropeTables([...txtIds, ...cond.imgIds], config.axes_dims_rope);
        const context = tap('context_embed', () => linear(p.at('context_embedder'), cond.encoderHiddenStates));
        const text = siluMlp(embedder.at('text_embedder'), cond.pooledProjections);
        const guidance = perRow(cond.guidance ?? 1, shape[0] as number, 1000);
        return {
          context,
          conditioning: config.guidance_embeds
            ? tf.add(text, siluMlp(embedder.at('guidance_embedder'), sinusoidal(guidance, TIME_WIDTH)))
            : text,
          cos: tap('rope_cos', () => cos),
          sin: tap('rope_sin', () => sin),
        };
      });
    },

    embed(x, timestep, context, tap: Tap = untapped): Stream<FluxShared> {
      return tidy(() => {
        // The pipeline hands the model t / 1000 in float32 and the model multiplies it back: the roundings are kept.
        const unit =
          timestep instanceof tf.Tensor
            ? tf.div(timestep, 1000)
            : (typeof timestep === 'number' ? [timestep] : timestep).map(t => Math.fround(t / 1000));
        const time = tap('time_proj', () => sinusoidal(perRow(unit, x.shape[0] as number, 1000), TIME_WIDTH));
        const temb = tap('temb', () => tf.add(siluMlp(embedder.at('timestep_embedder'), time), context.conditioning));
        const hidden = tap('x_embed', () => linear(p.at('x_embedder'), x));
        const { cos, sin } = context;
        return {
          tokens: { hidden, context: context.context.clone() },
          shared: { temb: silu(temb), ...share({ cos, sin }) },
        };
      });
    },

    head({ tokens, shared }, tap: Tap = untapped): tf.Tensor {
      return tidy(() => {
        const [scale, shift] = chunks(linear(p.at('norm_out.linear'), shared.temb), 2) as [tf.Tensor, tf.Tensor];
        const normed = tap('norm_out', () => modulatedLayerNorm(tokens.hidden, shift, scale, EPS));
        return tap('proj_out', () => linear(p.at('proj_out'), normed));
      });
    },

    async signal({ tokens, shared }): Promise<tf.Tensor> {
      return weights.use('transformer_blocks.0', first =>
        tidy(() => {
          const [shift, scale] = chunks(linear(first.at('norm1.linear'), shared.temb), 6) as Six;
          return modulatedLayerNorm(tokens.hidden, shift, scale, EPS);
        }),
      );
    },
  };
}
