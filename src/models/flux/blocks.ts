/**
 * The blocks of FLUX.1 and of models made from it: double blocks, which have weights for text and image apart and one
 * attention, and single blocks, which have one stream, with attention and feed-forward in parallel. Shapes: B batch,
 * T text tokens, N image tokens, D = heads × head width.
 */
import * as tf from '@tensorflow/tfjs-core';
import { attention } from '../../nn/attention';
import { type ComputeType, computeTypeOf } from '../../nn/bfloat16';
import { feedForward } from '../../nn/feed-forward';
import { linear } from '../../nn/linear';
import { gated, modulatedLayerNorm, rmsNorm } from '../../nn/norm';
import type { Params } from '../../nn/params';
import { range } from '../../nn/positions';
import { applyRope, type Rope } from '../../nn/rope';
import type { Block, Tap, Tokens } from '../../transformer/denoiser';
import { linear as linearParameters, type ParameterTable, repeated, scoped, vector } from '../../weights/parameters';
import { numbered } from '../family';

/** Of every norm in the blocks, and of the last one. */
export const EPS = 1e-6;

/** How many blocks there are, and how wide they are. */
export interface Stack {
  readonly num_layers: number;
  readonly num_single_layers: number;
  readonly attention_head_dim: number;
  readonly num_attention_heads: number;
}

export const widthOf = (c: Stack): number => c.num_attention_heads * c.attention_head_dim;

/** Prefix of every block's parameters, in order. */
export const stackNames = (c: Stack): string[] => [
  ...numbered('transformer_blocks', c.num_layers),
  ...numbered('single_transformer_blocks', c.num_single_layers),
];

/** Tokens that take no part, because the texts of a batch differ in length. */
export interface TokenMask {
  /** Added to the scores: a number far below 0 for tokens that take no part, `[B, 1, 1, T + N]`. */
  readonly bias: tf.Tensor;
  /** 1 for tokens that take part, else 0, `[B, T + N, 1]`. The reference lets the others see nothing. */
  readonly present: tf.Tensor;
}

/** What all blocks read: rotary tables of text and image `[T + N, d]`, and what takes no part. */
export interface JointShared extends Rope {
  readonly mask?: TokenMask;
}

/** Shift, scale and gate, `[B, 1, D]` each. */
export type Three = [shift: tf.Tensor, scale: tf.Tensor, gate: tf.Tensor];
/** Those of attention, then those of the feed-forward. */
export type Six = [...Three, ...Three];

/** Where blocks get their modulations from. */
export interface Modulations<Shared> {
  double(index: number, p: Params, shared: Shared): { readonly image: Six; readonly text: Six };
  single(index: number, p: Params, shared: Shared): Three;
}

/** All blocks of a stack, in order. */
export function jointBlocks<Shared extends JointShared>(c: Stack, modulations: Modulations<Shared>): Block<Shared>[] {
  return [
    ...range(c.num_layers).map(i => doubleBlock(i, c.num_attention_heads, modulations)),
    ...range(c.num_single_layers).map(i => singleBlock(i, c.num_attention_heads, modulations)),
  ];
}

/**
 * Every parameter of the blocks, as diffusers names them.
 * @param own what a block has for its modulations
 */
export function blockParameters(
  c: Stack,
  own: { readonly double: ParameterTable; readonly single: ParameterTable } = { double: [], single: [] },
): ParameterTable {
  const width = widthOf(c);
  const feedForward = (name: string): ParameterTable =>
    scoped(name, [...linearParameters('net.0.proj', width, 4 * width), ...linearParameters('net.2', 4 * width, width)]);
  const norms = (...names: string[]): ParameterTable => names.map(n => vector(`${n}.weight`, c.attention_head_dim));
  const projections = (...names: string[]): ParameterTable => names.flatMap(n => linearParameters(n, width, width));
  return [
    ...repeated('transformer_blocks', c.num_layers, () => [
      ...own.double,
      ...scoped('attn', [
        ...norms('norm_q', 'norm_k', 'norm_added_q', 'norm_added_k'),
        ...projections('to_q', 'to_k', 'to_v', 'to_out.0'),
        ...projections('add_q_proj', 'add_k_proj', 'add_v_proj', 'to_add_out'),
      ]),
      ...feedForward('ff'),
      ...feedForward('ff_context'),
    ]),
    ...repeated('single_transformer_blocks', c.num_single_layers, () => [
      ...own.single,
      ...linearParameters('proj_mlp', width, 4 * width),
      ...linearParameters('proj_out', 5 * width, width),
      ...scoped('attn', [...norms('norm_q', 'norm_k'), ...projections('to_q', 'to_k', 'to_v')]),
    ]),
  ];
}

/** Queries, keys and values, `[B, N, H, d]`. */
interface Heads {
  readonly q: tf.Tensor;
  readonly k: tf.Tensor;
  readonly v: tf.Tensor;
}

/** Queries, keys and values of one stream, `[B, N, H, d]`, queries and keys normalised per head. */
function heads(
  p: Params,
  x: tf.Tensor,
  count: number,
  names: { q: string; k: string; v: string; norm: string },
): Heads {
  const [batch, tokens, width] = x.shape as [number, number, number];
  const rows = tf.reshape(x, [-1, width]);
  const split = (name: string): tf.Tensor => tf.reshape(linear(p.at(name), rows), [batch, tokens, count, -1]);
  return {
    q: rmsNorm(p.at(`${names.norm}q`), split(names.q), EPS),
    k: rmsNorm(p.at(`${names.norm}k`), split(names.k), EPS),
    v: split(names.v),
  };
}

const IMAGE_HEADS = { q: 'to_q', k: 'to_k', v: 'to_v', norm: 'norm_' };
const TEXT_HEADS = { q: 'add_q_proj', k: 'add_k_proj', v: 'add_v_proj', norm: 'norm_added_' };

/** Attention of all tokens of a text and an image, `[B, T + N, D]`. */
function attend({ q, k, v }: Heads, shared: JointShared, dtype: ComputeType): tf.Tensor {
  const [turnedQ, turnedK] = [applyRope(q, shared), applyRope(k, shared)];
  const { mask } = shared;
  if (!mask) return attention(turnedQ, turnedK, v, { dtype });
  return tf.mul(attention(turnedQ, turnedK, v, { bias: mask.bias, dtype }), mask.present);
}

const feed = (p: Params, x: tf.Tensor): tf.Tensor => feedForward(p.at('net.0.proj'), p.at('net.2'), x);

/** Image and text, each with its own weights, meeting in one attention. */
function doubleBlock<Shared extends JointShared>(
  index: number,
  headCount: number,
  modulations: Modulations<Shared>,
): Block<Shared> {
  const name = `double_${index}`;
  return {
    name: `transformer_blocks.${index}`,
    run(p: Params, tokens: Tokens, shared: Shared, tap: Tap): Tokens {
      const image = tokens.hidden;
      const text = tokens.context as tf.Tensor;
      const textTokens = text.shape[1] as number;
      const modulated = modulations.double(index, p, shared);
      const [shift, scale, gate, mlpShift, mlpScale, mlpGate] = modulated.image;
      const [cShift, cScale, cGate, cMlpShift, cMlpScale, cMlpGate] = modulated.text;
      tap(`${name}.gate_msa`, () => tf.squeeze(gate, [1]));

      const normed = tap(`${name}.norm1`, () => modulatedLayerNorm(image, shift, scale, EPS));
      const [imageOut, textOut] = tap(`${name}.attention`, () => {
        const i = heads(p.at('attn'), normed, headCount, IMAGE_HEADS);
        const t = heads(p.at('attn'), modulatedLayerNorm(text, cShift, cScale, EPS), headCount, TEXT_HEADS);
        const both = {
          q: tf.concat([t.q, i.q], 1),
          k: tf.concat([t.k, i.k], 1),
          v: tf.concat([t.v, i.v], 1),
        };
        const joint = attend(both, shared, computeTypeOf(p.at('attn.to_v')));
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
      const ff = tap(`${name}.ff`, () => feed(p.at('ff'), modulatedLayerNorm(image1, mlpShift, mlpScale, EPS)));
      const ffContext = tap(`${name}.ff_context`, () =>
        feed(p.at('ff_context'), modulatedLayerNorm(text1, cMlpShift, cMlpScale, EPS)),
      );
      return {
        hidden: gated(image1, mlpGate, ff),
        context: gated(text1, cMlpGate, ffContext),
      };
    },
  };
}

/** Text and image as one sequence; attention and feed-forward side by side, joined by one projection. */
function singleBlock<Shared extends JointShared>(
  index: number,
  headCount: number,
  modulations: Modulations<Shared>,
): Block<Shared> {
  const name = `single_${index}`;
  return {
    name: `single_transformer_blocks.${index}`,
    run(p: Params, tokens: Tokens, shared: Shared, tap: Tap): Tokens {
      const text = tokens.context as tf.Tensor;
      const textTokens = text.shape[1] as number;
      const joint = tf.concat([text, tokens.hidden], 1);
      const [shift, scale, gate] = modulations.single(index, p, shared);
      tap(`${name}.gate`, () => tf.squeeze(gate, [1]));

      const normed = tap(`${name}.norm`, () => modulatedLayerNorm(joint, shift, scale, EPS));
      const mlp = tap(`${name}.mlp`, () => linear(p.at('proj_mlp'), normed, { activation: 'geluTanh' }));
      const attended = tap(`${name}.attention`, () =>
        attend(heads(p.at('attn'), normed, headCount, IMAGE_HEADS), shared, computeTypeOf(p.at('attn.to_v'))),
      );
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
