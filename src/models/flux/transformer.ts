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
import { siluMlp, sinusoidal } from '../../nn/embeddings';
import { linear } from '../../nn/linear';
import { chunks, modulatedLayerNorm } from '../../nn/norm';
import { type Rope, ropeTables, shareRope } from '../../nn/rope';
import { tidy } from '../../nn/scope';
import { type Denoiser, type Stream, type Tap, untapped } from '../../transformer/denoiser';
import { perRow } from '../../transformer/timesteps';
import { linear as linearParameters, type ParameterTable, scoped, type WeightStore } from '../../weights/parameters';
import {
  blockParameters,
  EPS,
  type JointShared,
  jointBlocks,
  type Modulations,
  type Six,
  type Three,
  widthOf,
} from './blocks';
import { unitTime } from './time';

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

export interface FluxShared extends JointShared {
  /** SiLU of the conditioning vector, which every modulation reads, `[B, D]`. */
  readonly temb: tf.Tensor;
}

/** Every parameter of a FLUX transformer, as diffusers names them. */
export function fluxParameters(c: FluxConfig): ParameterTable {
  const width = widthOf(c);
  const mlp = (inputs: number): ParameterTable => [
    ...linearParameters('linear_1', inputs, width),
    ...linearParameters('linear_2', width, width),
  ];
  return [
    ...scoped('time_text_embed', [
      ...scoped('timestep_embedder', mlp(TIME_WIDTH)),
      ...(c.guidance_embeds ? scoped('guidance_embedder', mlp(TIME_WIDTH)) : []),
      ...scoped('text_embedder', mlp(c.pooled_projection_dim)),
    ]),
    ...linearParameters('context_embedder', c.joint_attention_dim, width),
    ...linearParameters('x_embedder', c.in_channels, width),
    ...blockParameters(c, {
      double: [
        ...linearParameters('norm1.linear', width, 6 * width),
        ...linearParameters('norm1_context.linear', width, 6 * width),
      ],
      single: linearParameters('norm.linear', width, 3 * width),
    }),
    ...linearParameters('norm_out.linear', width, 2 * width),
    ...linearParameters('proj_out', width, c.out_channels ?? c.in_channels),
  ];
}

/** Every block makes its modulations from the conditioning vector, by a layer of its own. */
const ownLayers: Modulations<FluxShared> = {
  double: (_, p, { temb }) => ({
    image: chunks(linear(p.at('norm1.linear'), temb), 6) as Six,
    text: chunks(linear(p.at('norm1_context.linear'), temb), 6) as Six,
  }),
  single: (_, p, { temb }) => chunks(linear(p.at('norm.linear'), temb), 3) as Three,
};

/** The FLUX transformer as `prepare`, `embed`, `blocks`, `head`. */
export function createFlux(config: FluxConfig, weights: WeightStore): Denoiser<FluxCondition, FluxContext, FluxShared> {
  const p = weights.resident;
  const embedder = p.at('time_text_embed');

  return {
    weights,
    blocks: jointBlocks(config, ownLayers),

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
        const time = tap('time_proj', () =>
          sinusoidal(perRow(unitTime(timestep), x.shape[0] as number, 1000), TIME_WIDTH),
        );
        const temb = tap('temb', () => tf.add(siluMlp(embedder.at('timestep_embedder'), time), context.conditioning));
        const hidden = tap('x_embed', () => linear(p.at('x_embedder'), x));
        return {
          tokens: { hidden, context: context.context.clone() },
          shared: { temb: silu(temb), ...shareRope(context) },
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
          const [shift, scale] = ownLayers.double(0, first, shared).image;
          return modulatedLayerNorm(tokens.hidden, shift, scale, EPS);
        }),
      );
    },
  };
}
