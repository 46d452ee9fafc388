/**
 * MiniT2I, a transformer that paints pixels (MM-JiT, 2026; `MiniT2IMMJiTModel` of MiniT2I's repository).
 *
 * Text goes through blocks of its own, then text and image through double blocks (two streams, one attention). What
 * comes out is the clean picture; nothing is told the time. Shapes: B batch, T text tokens, N image tokens,
 * D = heads × head width, H and W pixels. Published models draw squares; nothing here depends on that.
 */
import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../../errors';
import { silu } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { type ComputeType, computeTypeOf } from '../../nn/bfloat16';
import { conv2d } from '../../nn/conv2d';
import { sinusoidal } from '../../nn/embeddings';
import { linear } from '../../nn/linear';
import { rmsNorm } from '../../nn/norm';
import type { Params } from '../../nn/params';
import { patchEmbed, unpatchify } from '../../nn/patchify';
import { range } from '../../nn/positions';
import { normedRope, type Rope } from '../../nn/rope';
import { share, tidy } from '../../nn/scope';
import { swiGlu } from '../../nn/swiglu';
import { type Block, type Denoiser, type Stream, type Tap, type Tokens, untapped } from '../../transformer/denoiser';
import { velocityOfSample } from '../../transformer/sample-prediction';
import { type PerRow, perRow } from '../../transformer/timesteps';
import type { WeightStore } from '../../weights/parameters';
import { blockName } from '../golden';
import { attentionHeads, type MiniT2IConfig } from './config';
import { ROOT, TIME_WIDTH } from './parameters';
import { type Positions, positionTables } from './positions';

const EPS = 1e-6;

/** What a MiniT2I run is conditioned on. Rows may be fewer than the latent's: one stands for all. */
export interface MiniT2ICondition {
  /** FLAN-T5's states `[B, T, txt_input_size]`. */
  readonly encoderHiddenStates: tf.Tensor;
  /** 1 for a token of the text, 0 for padding, `[B, T]`; zeros alone are what guidance leads away from. */
  readonly mask: tf.Tensor;
  /** Made from the sizes unless given. */
  readonly positions?: Positions;
}

export interface MiniT2IContext extends Positions {
  /** The text after its own blocks `[B, T, D]`. */
  readonly text: tf.Tensor;
}

export interface MiniT2IShared extends Rope {
  /** Height and width in pixels. */
  readonly size: readonly [height: number, width: number];
}

/** Queries, keys and values, `[B, N, H, d]`. */
type Heads = [q: tf.Tensor, k: tf.Tensor, v: tf.Tensor];

/** Those of one stream, by its layer of all three. */
function heads(p: Params, x: tf.Tensor, c: MiniT2IConfig): Heads {
  const split = (t: tf.Tensor): tf.Tensor =>
    tf.reshape(t, [x.shape[0] as number, x.shape[1] as number, ...attentionHeads(c)]);
  return tf.split(linear(p, x), 3, -1).map(split) as Heads;
}

/** Attention of heads whose queries and keys are normalised and turned. */
function attend(p: Params, [q, k, v]: Heads, rope: Rope, dtype: ComputeType, name: string, tap: Tap): tf.Tensor {
  const turned = (norm: string, t: tf.Tensor, factor = 1): tf.Tensor =>
    tidy(() => normedRope(p.at(norm), t, rope, EPS, 'halves', factor));
  tap.aside?.(`${name}.q_rope`, () => turned('q_norm', q));
  const scale = 1 / Math.sqrt(q.shape[3] as number);
  return attention(
    turned('q_norm', q, scale),
    tap(`${name}.k_rope`, () => turned('k_norm', k)),
    v,
    { scale: 1, dtype },
  );
}

/** Text by itself. */
function textBlock(p: Params, text: tf.Tensor, rope: Rope, c: MiniT2IConfig, name: string, tap: Tap): tf.Tensor {
  const attended = tidy(() => {
    const normed = tap(`${name}.norm1`, () => rmsNorm(p.at('norm1'), text, EPS));
    const seen = attend(p, heads(p.at('qkv'), normed, c), rope, computeTypeOf(p.at('qkv')), name, tap);
    return tap(`${name}.attn`, () => linear(p.at('attn_proj'), seen));
  });
  const text1 = tf.add(text, attended);
  const fed = tap(`${name}.mlp`, () => tidy(() => swiGlu(p.at('mlp'), rmsNorm(p.at('norm2'), text1, EPS))));
  return tf.add(text1, fed);
}

/** Image and text, each with its own weights, meeting in one attention. */
function doubleBlock(index: number, c: MiniT2IConfig): Block<MiniT2IShared> {
  const name = `double_${index}`;
  const isLast = index === c.depth_double - 1;
  return {
    name: `${ROOT}.double_blocks.${index}`,
    run(p: Params, tokens: Tokens, rope: MiniT2IShared, tap: Tap): Tokens {
      const image = tokens.hidden;
      const text = tokens.context as tf.Tensor;
      const [textTokens, imageTokens] = [text.shape[1] as number, image.shape[1] as number];
      // Nothing reads the text after the last block: it is made for those only who look on.
      const keepsText = !isLast || tap.aside !== undefined;

      const normed = (prefix: string, x: tf.Tensor): tf.Tensor =>
        tap(`${name}.${prefix}norm1`, () => rmsNorm(p.at(`${prefix}norm1`), x, EPS));

      const attended = tap(`${name}.attention`, (): tf.Tensor | tf.Tensor[] => {
        const joint = tidy(() => {
          const ofImage = heads(p.at('img_qkv'), normed('img_', image), c);
          const ofText = heads(p.at('txt_qkv'), normed('txt_', text), c);
          tap.aside?.(`${name}.img_q_norm`, () => rmsNorm(p.at('q_norm'), ofImage[0], EPS));
          tap.aside?.(`${name}.txt_q_norm`, () => rmsNorm(p.at('q_norm'), ofText[0], EPS));
          const both = ofText.map((t, which) => tf.concat([t, ofImage[which] as tf.Tensor], 1)) as Heads;
          return attend(p, both, rope, computeTypeOf(p.at('img_qkv')), name, tap);
        });
        const [ofText, ofImage] = tf.split(joint, [textTokens, imageTokens], 1) as [tf.Tensor, tf.Tensor];
        const out = linear(p.at('img_attn_proj'), ofImage);
        return keepsText ? [out, linear(p.at('txt_attn_proj'), ofText)] : out;
      });
      const [imageOut, textOut] = [attended].flat() as [tf.Tensor, tf.Tensor?];
      tap(`${name}.attn`, () => imageOut);

      const fed = (prefix: string, x: tf.Tensor): tf.Tensor =>
        tap(`${name}.${prefix}mlp`, () =>
          tidy(() => swiGlu(p.at(`${prefix}mlp`), rmsNorm(p.at(`${prefix}norm2`), x, EPS))),
        );
      const image1 = tf.add(image, imageOut);
      const hidden = tf.add(image1, fed('img_', image1));
      if (!textOut) return { hidden };
      tap(`${name}.attn_context`, () => textOut);
      const text1 = tf.add(text, textOut);
      return { hidden, context: tf.add(text1, fed('txt_', text1)) };
    },
  };
}

/** What the reference makes of the time and of the mean of the text, and never reads. */
function showIdle(p: Params, timestep: PerRow, batch: number, tap: Tap): void {
  // The reference's time rises to the picture, a noise level falls to it.
  const time = (): tf.Tensor => sinusoidal(tf.sub(1, perRow(timestep, batch)), TIME_WIDTH);
  tap.aside?.('time_proj', time);
  tap.aside?.('t_embed', () => linear(p.at('t_embedder.mlp.2'), silu(linear(p.at('t_embedder.mlp.0'), time()))));
}

/** Height and width of a picture, checked. */
function sizeOf(shape: readonly number[], { in_channels: channels, patch_size: patch }: MiniT2IConfig) {
  const [, own, ...size] = shape;
  if (own === channels && size.length === 2 && size.every(side => side > 0 && side % patch === 0)) {
    return size as [height: number, width: number];
  }
  throw new ShapeError(
    `MiniT2I takes a picture [B, ${channels}, H, W], multiples of ${patch}; [${shape.join(', ')}] was given.`,
  );
}

/**
 * The MiniT2I transformer as `prepare`, `embed`, `blocks`, `head`. It predicts the clean picture, of which a velocity is
 * made; timesteps are noise levels, 1 for noise and 0 for the picture.
 */
export function createMiniT2I(config: MiniT2IConfig, weights: WeightStore): Denoiser<MiniT2ICondition, MiniT2IContext> {
  const { velocity_floor: velocityFloor } = config;
  return velocityOfSample(createMMJiT(config, weights), { trainTimesteps: 1, velocityFloor }) as Denoiser<
    MiniT2ICondition,
    MiniT2IContext
  >;
}

function createMMJiT(
  config: MiniT2IConfig,
  weights: WeightStore,
): Denoiser<MiniT2ICondition, MiniT2IContext, MiniT2IShared> {
  const p = weights.resident.at(ROOT);
  const patch = [1, config.patch_size, config.patch_size] as const;

  return {
    weights,
    blocks: range(config.depth_double).map(i => doubleBlock(i, config)),

    prepare({ encoderHiddenStates, mask, positions }, shape, tap: Tap = untapped): MiniT2IContext {
      const grid = sizeOf(shape, config).map(side => side / config.patch_size) as [number, number];
      const [rows, textTokens] = mask.shape as [number, number];
      return tidy(() => {
        const { cos, sin, added } = positions ?? positionTables(config, textTokens, grid);
        const masked = tap('context_masked', () => {
          const isText = tf.cast(tf.greater(tf.expandDims(mask, -1), 0.5), 'float32');
          return tf.add(tf.mul(encoderHiddenStates, isText), tf.mul(p.tensor('mask_token'), tf.sub(1, isText)));
        });
        tap.aside?.('context_pooled', () => tf.mean(masked, 1));
        tap.aside?.('pooled_embed', () => linear(p.at('pooled_embedder'), tf.mean(masked, 1)));

        let text = tap('text_embed', () => linear(p.at('txt_embedder'), masked));
        const rope = { cos: tf.slice(cos, 0, textTokens), sin: tf.slice(sin, 0, textTokens) };
        for (const i of range(config.txt_preamble_depth)) {
          const before = text;
          text = tap(`txt_${blockName(i)}`, () =>
            tidy(() => textBlock(p.at(`txt_preamble_blocks.${i}`), before, rope, config, `txt_${i}`, tap)),
          );
        }
        return {
          text: rows === shape[0] ? text : tf.tile(text, [shape[0] as number, 1, 1]),
          cos: tap('rope_cos', () => cos),
          sin: tap('rope_sin', () => sin),
          added: tap('pos_embed', () => added),
        };
      });
    },

    embed(x, timestep, { text, cos, sin, added }, tap: Tap = untapped): Stream<MiniT2IShared> {
      const size = sizeOf(x.shape, config);
      const batch = x.shape[0] as number;
      return tidy(() => {
        showIdle(p, timestep, batch, tap);
        const picture = tf.reshape(x, [batch, config.in_channels, 1, ...size]);
        const bottleneck = tap('patch_proj1', () => patchEmbed(p.at('img_embedder.proj1'), picture, patch));
        const patches = tap('patch_embed', () => {
          const [, tokens, channels] = bottleneck.shape as [number, number, number];
          const wide = conv2d(p.at('img_embedder.proj2'), tf.reshape(bottleneck, [batch, 1, tokens, channels]));
          return tf.reshape(wide, [batch, tokens, config.hidden_size]);
        });
        const hidden = tap('x_embed', () => tf.add(patches, added));
        return { tokens: { hidden, context: text.clone() }, shared: { ...share({ cos, sin }), size } };
      });
    },

    head({ tokens, shared: { size } }, tap: Tap = untapped): tf.Tensor {
      return tidy(() => {
        const normed = tap('norm_out', () => rmsNorm(p.at('final_layer.norm_final'), tokens.hidden, EPS));
        const patches = tap('proj_out', () => linear(p.at('final_layer.linear'), normed));
        const [batch, channels] = [tokens.hidden.shape[0] as number, config.in_channels];
        const picture = unpatchify(patches, [batch, channels, 1, ...size], patch);
        return tf.reshape(picture, [batch, channels, ...size]);
      });
    },

    /** Nothing is modulated by time, so TeaCache has only the picture's own change to go by. */
    signal: ({ tokens }) =>
      weights.use(`${ROOT}.double_blocks.0`, first => tidy(() => rmsNorm(first.at('img_norm1'), tokens.hidden, EPS))),
  };
}
