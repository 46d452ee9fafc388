/**
 * Chroma (lodestones, 2025; diffusers `ChromaTransformer2DModel`): FLUX.1-schnell without its modulation layers, which one
 * small network stands in for, without CLIP's pooled text, and with padding out of sight. Shapes: B batch, T text
 * tokens, N image tokens, M modulations, D = heads × head width.
 */
import * as tf from '@tensorflow/tfjs-core';
import { linear } from '../../../nn/linear';
import { modulatedLayerNorm } from '../../../nn/norm';
import { type Rope, ropeTables, shareRope } from '../../../nn/rope';
import { share, tidy } from '../../../nn/scope';
import { type Denoiser, type Stream, type Tap, untapped } from '../../../transformer/denoiser';
import { perRow } from '../../../transformer/timesteps';
import { linear as linearParameters, type ParameterTable, type WeightStore } from '../../../weights/parameters';
import { blockParameters, EPS, type JointShared, jointBlocks, type TokenMask, widthOf } from '../blocks';
import { unitTime } from '../time';
import { approximate, approximatorParameters, lastOf, modulationInputs, takenFrom } from './approximator';
import type { ChromaConfig } from './config';

/** Far below any score. */
const UNSEEN = -1e30;

/** What a Chroma run is conditioned on. */
export interface ChromaCondition {
  /** T5's states `[B, T, joint_attention_dim]`. */
  readonly encoderHiddenStates: tf.Tensor;
  /** 1 for the tokens of text and image that take part, else 0, `[B, T + N]`; all of them unless given. */
  readonly mask?: readonly (readonly number[])[] | tf.Tensor;
  /** Position of every image token, `[0, row, column]`; not looked at where `rope` is given. */
  readonly imgIds: readonly (readonly number[])[];
  /** Rotary tables of text and image tokens `[T + N, d]`; made from the positions unless given. */
  readonly rope?: Rope;
}

export interface ChromaContext extends Rope {
  readonly context: tf.Tensor;
  /** {@link TokenMask}, where there is one. */
  readonly bias?: tf.Tensor;
  readonly present?: tf.Tensor;
}

export interface ChromaShared extends JointShared {
  /** Every shift, scale and gate of the model, `[B, M, D]`. */
  readonly modulations: tf.Tensor;
}

/** Every parameter of a Chroma transformer, as diffusers names them. */
export function chromaParameters(c: ChromaConfig): ParameterTable {
  const width = widthOf(c);
  return [
    ...approximatorParameters(c),
    ...linearParameters('context_embedder', c.joint_attention_dim, width),
    ...linearParameters('x_embedder', c.in_channels, width),
    ...blockParameters(c),
    ...linearParameters('proj_out', width, c.out_channels ?? c.in_channels),
  ];
}

function tokenMask(mask: NonNullable<ChromaCondition['mask']>): TokenMask {
  const present = tf.expandDims(mask instanceof tf.Tensor ? mask : tf.tensor2d(mask as number[][]), -1);
  return { bias: tf.mul(tf.sub(1, tf.expandDims(tf.transpose(present, [0, 2, 1]), 1)), UNSEEN), present };
}

/** The Chroma transformer as `prepare`, `embed`, `blocks`, `head`. */
export function createChroma(
  config: ChromaConfig,
  weights: WeightStore,
): Denoiser<ChromaCondition, ChromaContext, ChromaShared> {
  const p = weights.resident;
  const taken = takenFrom(config);

  return {
    weights,
    blocks: jointBlocks<ChromaShared>(config, taken),

    prepare({ encoderHiddenStates, mask, imgIds, rope }, _shape, tap: Tap = untapped): ChromaContext {
      return tidy(() => {
        const textIds = Array.from({ length: encoderHiddenStates.shape[1] as number }, () => [0, 0, 0]);
        const { cos, sin } = rope ?? ropeTables([...textIds, ...imgIds], config.axes_dims_rope);
        return {
          context: tap('context_embed', () => linear(p.at('context_embedder'), encoderHiddenStates)),
          ...(mask && tokenMask(mask)),
          cos: tap('rope_cos', () => cos),
          sin: tap('rope_sin', () => sin),
        };
      });
    },

    embed(x, timestep, { context, cos, sin, bias, present }, tap: Tap = untapped): Stream<ChromaShared> {
      return tidy(() => {
        const time = perRow(unitTime(timestep), x.shape[0] as number, 1000);
        const inputs = tap('modulation_inputs', () => modulationInputs(config, time));
        return {
          tokens: { hidden: tap('x_embed', () => linear(p.at('x_embedder'), x)), context: context.clone() },
          shared: {
            modulations: tap('modulations', () =>
              approximate(p.at('distilled_guidance_layer'), inputs, config.approximator_layers),
            ),
            ...shareRope({ cos, sin }),
            ...(bias && present && { mask: share({ bias, present }) }),
          },
        };
      });
    },

    head({ tokens, shared }, tap: Tap = untapped): tf.Tensor {
      return tidy(() => {
        const [shift, scale] = lastOf(config, shared.modulations);
        const normed = tap('norm_out', () => modulatedLayerNorm(tokens.hidden, shift, scale, EPS));
        return tap('proj_out', () => linear(p.at('proj_out'), normed));
      });
    },

    signal: ({ tokens, shared }) =>
      weights.use('transformer_blocks.0', first =>
        tidy(() => {
          const [shift, scale] = taken.double(0, first, shared).image;
          return modulatedLayerNorm(tokens.hidden, shift, scale, EPS);
        }),
      ),
  };
}
