/**
 * Open-Sora 1.2, a spatial-temporal diffusion transformer (HPC-AI Tech, 2024; Open-Sora `STDiT3`).
 *
 * Spatial blocks attend within a frame, temporal blocks across frames at one place; they alternate, and both attend
 * to the text. Shapes: B batch, C latent channels, T frames, S patches of a frame, N = T·S, L text tokens, D width,
 * M = 1, or T where every frame has a time of its own.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { ShapeError } from '../../errors';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { geluTanh, silu } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { computeTypeOf } from '../../nn/bfloat16';
import { sinusoidal } from '../../nn/embeddings';
import { feedForward } from '../../nn/feed-forward';
import { linear } from '../../nn/linear';
import { gated as gatedFrames, layerNorm, modulatedLayerNorm, rmsNorm } from '../../nn/norm';
import type { Params } from '../../nn/params';
import { cropVideo, padVideo, patchEmbed, unpatchify, type VideoShape } from '../../nn/patchify';
import { range } from '../../nn/positions';
import { applyRope, type Rope, shareRope } from '../../nn/rope';
import { share, tidy } from '../../nn/scope';
import { type Block, type Denoiser, type Stream, type Tap, type Tokens, untapped } from '../../transformer/denoiser';
import { type PerRow, perRow } from '../../transformer/timesteps';
import {
  linear as linearParameters,
  type ParameterTable,
  plain,
  repeated,
  scoped,
  vector,
  type WeightStore,
} from '../../weights/parameters';
import { cycled, frameRope, type Geometry, geometryOf, maskBias, noisyFrames, packing, positionTable } from './layout';

const EPS = 1e-6;
const TIME_WIDTH = 256;

export const openSoraConfig = knowing(
  z
    .object({
      _class_name: z.literal('STDiT3').default('STDiT3'),
      input_sq_size: z.number().positive().max(MOST.pixels).default(512),
      in_channels: count(MOST.channels).default(4),
      patch_size: z.tuple([count(MOST.patch), count(MOST.patch), count(MOST.patch)]).default([1, 2, 2]),
      hidden_size: count(MOST.channels).multipleOf(4).default(1152),
      depth: count(MOST.layers, 0).default(28),
      num_heads: count(MOST.heads).default(16),
      mlp_ratio: z.number().positive().max(MOST.heads).default(4),
      caption_channels: count(MOST.channels).default(4096),
      model_max_length: count(MOST.tokens).default(300),
      pred_sigma: z.boolean().default(true),
      qk_norm: z.boolean().default(true),
      skip_y_embedder: z
        .literal(false, { error: 'captions embedded outside the model are not supported' })
        .default(false),
    })
    .refine(c => (c.hidden_size / c.num_heads) % 2 === 0, {
      error: 'hidden_size must be an even number of channels for every head',
      path: ['hidden_size'],
    }),
  {
    idle: [
      ...['input_size', 'class_dropout_prob', 'drop_path', 'only_train_temporal', 'freeze_y_embedder'],
      ...['enable_flash_attn', 'enable_layernorm_kernel', 'enable_sequence_parallelism'],
    ],
  },
);

export type OpenSoraConfig = z.infer<typeof openSoraConfig>;

/** What an Open-Sora run is conditioned on. */
export interface OpenSoraCondition {
  /** T5 states `[B, L, caption_channels]`. */
  readonly captions: tf.Tensor;
  /**
   * 1 for every text token that is attended to; all are unless given. Fewer rows than captions are repeated, so the
   * unconditional half of a batch attends to as many tokens as the conditional half. A tensor `[B, L]` or `[1, L]`,
   * whose numbers are not known yet, hides tokens from attention in place of leaving them out; the result is the same.
   */
  readonly mask?: readonly (readonly number[])[] | tf.Tensor;
  /** Frames a second, 120 for images; one number, or a list that is repeated over the batch. */
  readonly fps: PerRow;
  /** Size of the picture in pixels. */
  readonly height: number;
  readonly width: number;
  /** For every row and latent frame, 1 = noisy, 0 = clean (it is told time 0); all are noisy unless given. */
  readonly frameMask?: readonly (readonly number[])[] | tf.Tensor;
  /** Added to the tokens of every frame `[1, S, D]`; made from the sizes unless given. */
  readonly positions?: tf.Tensor;
  /** Rotary tables over frames `[T, d]`; made from the number of frames unless given. */
  readonly rope?: Rope;
}

/** Projected text: all rows one after the other without padding, or every row whole beside what hides its padding. */
type Text =
  | {
      /** `[1, ΣL, D]` */
      readonly states: tf.Tensor;
      /** How many tokens each row has. */
      readonly lengths: readonly number[];
    }
  | {
      /** `[B, L, D]` */
      readonly states: tf.Tensor;
      /** Added to the scores, `[B, 1, 1, L]`. */
      readonly bias: tf.Tensor;
    };

export interface OpenSoraContext extends Rope {
  /** Projected text. */
  readonly text: Text;
  /** Added to the tokens of every frame, `[1, S, D]`. */
  readonly positions: tf.Tensor;
  /** Embedded frame rate `[B, D]`. */
  readonly fps: tf.Tensor;
  /** Where some frames are clean: which are noisy `[B, T, 1]`, and the time embedding of the others `[B, D]`. */
  readonly noisy?: tf.Tensor | undefined;
  readonly clean?: tf.Tensor | undefined;
}

export interface OpenSoraShared extends Rope {
  readonly text: Text;
  /** Time and frame rate `[B, D]`, which the head reads; of the noisy frames where some are clean. */
  readonly time: tf.Tensor;
  readonly noisy?: tf.Tensor | undefined;
  readonly clean?: tf.Tensor | undefined;
  /** Their six-way projection `[B, M, 6D]`, which the blocks read. */
  readonly modulation: tf.Tensor;
  readonly geometry: Geometry;
}

const outChannels = (c: OpenSoraConfig): number => (c.pred_sigma ? 2 : 1) * c.in_channels;

/** Every parameter of STDiT3, as Open-Sora names them. */
export function openSoraParameters(c: OpenSoraConfig): ParameterTable {
  const d = c.hidden_size;
  const head = d / c.num_heads;
  const mlp = Math.floor(d * c.mlp_ratio);
  const timeMlp = (name: string): ParameterTable =>
    scoped(name, [...linearParameters('mlp.0', TIME_WIDTH, d), ...linearParameters('mlp.2', d, d)]);
  const block = (): ParameterTable => [
    plain('scale_shift_table', [6, d]),
    ...linearParameters('attn.qkv', d, 3 * d),
    ...(c.qk_norm ? [vector('attn.q_norm.weight', head), vector('attn.k_norm.weight', head)] : []),
    ...linearParameters('attn.proj', d, d),
    ...linearParameters('cross_attn.q_linear', d, d),
    ...linearParameters('cross_attn.kv_linear', d, 2 * d),
    ...linearParameters('cross_attn.proj', d, d),
    ...linearParameters('mlp.fc1', d, mlp),
    ...linearParameters('mlp.fc2', mlp, d),
  ];

  return [
    vector('rope.freqs', head / 2),
    { name: 'x_embedder.proj.weight', shape: [d, c.in_channels, ...c.patch_size], layout: 'conv3d' },
    vector('x_embedder.proj.bias', d),
    ...timeMlp('t_embedder'),
    ...timeMlp('fps_embedder'),
    ...linearParameters('t_block.1', d, 6 * d),
    plain('y_embedder.y_embedding', [c.model_max_length, c.caption_channels]),
    ...linearParameters('y_embedder.y_proj.fc1', c.caption_channels, d),
    ...linearParameters('y_embedder.y_proj.fc2', d, d),
    ...repeated('spatial_blocks', c.depth, block),
    ...repeated('temporal_blocks', c.depth, block),
    plain('final_layer.scale_shift_table', [2, d]),
    ...linearParameters('final_layer.linear', d, c.patch_size.reduce((a, b) => a * b, 1) * outChannels(c)),
  ];
}

/** The learned caption that stands for no prompt, once for every row: `[rows, L, caption_channels]`. */
export function nullCaptions(weights: WeightStore, rows: number): tf.Tensor {
  return tf.tidy(() => tf.tile(tf.expandDims(weights.resident.tensor('y_embedder.y_embedding'), 0), [rows, 1, 1]));
}

/** `x` as `[B, M, N / M, D]`, beside factors `[B, M, 1, D]`: every token meets the modulation of its frame. */
function framed(x: tf.Tensor, factor: tf.Tensor): tf.Tensor {
  const [batch, tokens, d] = x.shape as [number, number, number];
  const times = factor.shape[1] as number;
  return tf.reshape(x, [batch, times, tokens / times, d]);
}

const normed = (x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor): tf.Tensor =>
  tf.reshape(modulatedLayerNorm(framed(x, shift), shift, scale, EPS), x.shape);
/** `x + gate · change`. */
function gated(x: tf.Tensor, gate: tf.Tensor, change: tf.Tensor): tf.Tensor {
  const [, , places, d] = framed(x, gate).shape as [number, number, number, number];
  const [frames, gates, changes] = [
    tf.reshape(x, [-1, places, d]),
    tf.reshape(gate, [-1, 1, d]),
    tf.reshape(change, [-1, places, d]),
  ];
  return tf.reshape(gatedFrames(frames, gates, changes), x.shape);
}

/** `[B, M, kD]` plus a table `[k, D]`, as k factors `[B, M, 1, D]`. */
function factors(t: tf.Tensor, table: tf.Tensor): tf.Tensor[] {
  const [batch, times] = t.shape as [number, number, number];
  const [count, d] = table.shape as [number, number];
  const sum = tf.add(t, tf.reshape(table, [1, 1, count * d]));
  return tf.split(tf.reshape(sum, [batch, times, 1, count * d]), count, 3);
}

/** `current` where `noisy` is 1 and `still` where it is 0, exactly. */
function chosen(noisy: tf.Tensor, current: tf.Tensor, still: tf.Tensor): tf.Tensor {
  return tf.add(tf.mul(current, noisy), tf.mul(still, tf.sub(1, noisy)));
}

/** The same for tokens `[B, N, D]`, frame by frame. */
function perFrame(noisy: tf.Tensor, current: tf.Tensor, still: tf.Tensor): tf.Tensor {
  const mask = tf.expandDims(noisy, -1);
  return tf.reshape(chosen(mask, framed(current, mask), framed(still, mask)), current.shape);
}

/** Self-attention of every row of `[R, n, D]`. */
function selfAttention(p: Params, x: tf.Tensor, c: OpenSoraConfig, rope?: Rope): tf.Tensor {
  const [rows, tokens] = x.shape as [number, number, number];
  const parts = tf.split(linear(p.at('qkv'), x), 3, -1);
  const [q, k, v] = parts.map(t => tf.reshape(t, [rows, tokens, c.num_heads, -1])) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const ready = (name: string, t: tf.Tensor): tf.Tensor =>
    tidy(() => {
      const normed = c.qk_norm ? rmsNorm(p.at(name), t, EPS) : t.clone();
      return rope ? applyRope(normed, rope) : normed;
    });
  return linear(
    p.at('proj'),
    tidy(() => attention(ready('q_norm', q), ready('k_norm', k), v, { dtype: computeTypeOf(p.at('qkv')) })),
  );
}

/** Attention of every row's video tokens to that row's text tokens, of which there may be a different number. */
function crossAttention(p: Params, x: tf.Tensor, text: Text, heads: number): tf.Tensor {
  const split = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [t.shape[0] as number, t.shape[1] as number, heads, -1]);
  const q = split(linear(p.at('q_linear'), x));
  const [k, v] = tf.split(linear(p.at('kv_linear'), text.states), 2, -1).map(split) as [tf.Tensor, tf.Tensor];
  if ('bias' in text) return linear(p.at('proj'), attention(q, k, v, { bias: text.bias }));
  const dtype = computeTypeOf(p.at('kv_linear'));
  let start = 0;
  const rows = text.lengths.map((length, row) => {
    const own = (t: tf.Tensor): tf.Tensor => tf.slice(t, [0, start, 0, 0], [1, length, -1, -1]);
    const attended = tidy(() => attention(tf.slice(q, row, 1), own(k), own(v), { dtype }));
    start += length;
    return attended;
  });
  return linear(p.at('proj'), rows.length === 1 ? (rows[0] as tf.Tensor) : tf.concat(rows, 0));
}

type Six = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

/** Spatial blocks see the patches of one frame, temporal blocks the frames of one patch, with rotary positions. */
function block(kind: 'spatial' | 'temporal', index: number, c: OpenSoraConfig): Block<OpenSoraShared> {
  const name = `${kind}_${index}`;
  return {
    name: `${kind}_blocks.${index}`,
    run(p: Params, { hidden }: Tokens, shared: OpenSoraShared, tap: Tap): Tokens {
      const [batch, tokens, d] = hidden.shape as [number, number, number];
      const frames = shared.geometry.grid[0];
      const places = tokens / frames;
      const modulation = factors(shared.modulation, p.tensor('scale_shift_table')) as Six;
      const [shift, scale, gate, mlpShift, mlpScale, mlpGate] = modulation;

      const attended = tidy(() => {
        tap.aside?.(`${name}.norm1`, () => layerNorm(hidden, EPS));
        const rowsIn = normed(hidden, shift, scale);
        const swapped = (x: tf.Tensor, outer: number, inner: number): tf.Tensor =>
          tf.transpose(tf.reshape(x, [batch, outer, inner, d]), [0, 2, 1, 3]);
        const rows =
          kind === 'spatial'
            ? tf.reshape(rowsIn, [batch * frames, places, d])
            : tf.reshape(swapped(rowsIn, frames, places), [batch * places, frames, d]);
        const rope = kind === 'temporal' ? shared : undefined;
        const out = tap(`${name}.attention`, () => selfAttention(p.at('attn'), rows, c, rope));
        tap(`${name}.attn`, () => out);
        return tf.reshape(kind === 'spatial' ? out : swapped(out, places, frames), [batch, tokens, d]);
      });
      const seen = gated(hidden, gate, attended);

      const crossed = tidy(() =>
        tap(`${name}.cross_attention`, () => crossAttention(p.at('cross_attn'), seen, shared.text, c.num_heads)),
      );
      tap(`${name}.cross_attn`, () => crossed);
      const read = tf.add(seen, crossed);

      const fed = tidy(() => {
        const adapted = normed(read, mlpShift, mlpScale);
        return tap(`${name}.mlp`, () => feedForward(p.at('mlp.fc1'), p.at('mlp.fc2'), adapted));
      });
      return { hidden: gated(read, mlpGate, fed) };
    },
  };
}

/**
 * The Open-Sora transformer as `prepare`, `embed`, `blocks`, `head`.
 * Where `pred_sigma` is on, the output has 2C channels, of which the first C are the velocity.
 */
export function createOpenSora(
  config: OpenSoraConfig,
  weights: WeightStore,
): Denoiser<OpenSoraCondition, OpenSoraContext, OpenSoraShared> {
  const p = weights.resident;
  const timeMlp = (name: string, t: tf.Tensor): tf.Tensor =>
    linear(p.at(`${name}.mlp.2`), silu(linear(p.at(`${name}.mlp.0`), sinusoidal(t, TIME_WIDTH))));
  const project = (time: tf.Tensor): tf.Tensor => linear(p.at('t_block.1'), silu(time));

  return {
    weights,
    blocks: range(config.depth).flatMap(i => [block('spatial', i, config), block('temporal', i, config)]),

    prepare(cond: OpenSoraCondition, shape: readonly number[], tap: Tap = untapped): OpenSoraContext {
      const geometry = geometryOf(shape, config);
      const [batch] = geometry.shape;
      const [frames, rows, columns] = geometry.grid;
      const [captions, tokens] = cond.captions.shape as [number, number, number];
      if (captions !== batch) {
        throw new ShapeError(`A latent of ${batch} rows was given ${captions} captions.`);
      }
      const packed = cond.mask instanceof tf.Tensor ? undefined : packing(cond.mask, batch, tokens);
      return tidy(() => {
        const y = p.at('y_embedder.y_proj');
        const projected = tap('y_proj', () =>
          tf.expandDims(linear(y.at('fc2'), geluTanh(linear(y.at('fc1'), cond.captions))), 1),
        );
        const flat = tf.reshape(projected, [batch * tokens, config.hidden_size]);
        const pack = (ids: number[]): tf.Tensor => tf.expandDims(tf.gather(flat, tf.tensor1d(ids, 'int32')), 0);
        const text: Text = packed
          ? { states: tap('y_packed', () => pack(packed.rows)), lengths: packed.lengths }
          : { states: tf.squeeze(projected, [1]), bias: maskBias(cond.mask as tf.Tensor) };
        const fps = tap('fps_embed', () => timeMlp('fps_embedder', cycled(cond.fps, batch)));
        const positions = tap(
          'pos_embed',
          () => cond.positions?.clone() ?? positionTable(config, rows, columns, cond.height, cond.width),
        );
        return {
          text,
          positions,
          fps,
          ...(cond.rope ? share(cond.rope) : frameRope(p.tensor('rope.freqs'), frames)),
          ...(cond.frameMask && {
            noisy: noisyFrames(cond.frameMask, batch, frames),
            clean: tf.add(timeMlp('t_embedder', perRow(0, batch)), fps),
          }),
        };
      });
    },

    embed(x, timestep, context, tap: Tap = untapped): Stream<OpenSoraShared> {
      const geometry = geometryOf(x.shape, config);
      const [batch] = geometry.shape;
      const [frames, rows, columns] = geometry.grid;
      return tidy(() => {
        const now = tap('t_embed', () => timeMlp('t_embedder', perRow(timestep, batch)));
        const time = tf.add(now, context.fps);
        const modulation = tap('t_mlp', () => project(time));
        const patches = tap('patch_embed', () =>
          patchEmbed(p.at('x_embedder.proj'), padVideo(x, geometry.whole), config.patch_size),
        );
        const byFrame = tf.reshape(patches, [batch * frames, rows * columns, config.hidden_size]);
        const hidden = tap('x_embed', () => tf.reshape(tf.add(byFrame, context.positions), patches.shape));
        const { text, cos, sin, noisy, clean } = context;
        const current = tf.expandDims(modulation, 1);
        return {
          tokens: { hidden },
          shared: {
            ...shareRope({ cos, sin }),
            ...share({ noisy, clean }),
            text: share(text),
            time,
            modulation: noisy && clean ? chosen(noisy, current, tf.expandDims(project(clean), 1)) : current,
            geometry,
          },
        };
      });
    },

    head({ tokens, shared }, tap: Tap = untapped): tf.Tensor {
      return tidy(() => {
        const table = p.tensor('final_layer.scale_shift_table');
        const adapt = (x: tf.Tensor, time: tf.Tensor): tf.Tensor => {
          const [shift, scale] = factors(tf.tile(tf.expandDims(time, 1), [1, 1, 2]), table) as [tf.Tensor, tf.Tensor];
          return normed(x, shift, scale);
        };
        const current = adapt(tokens.hidden, shared.time);
        // Clean frames are adapted on top of that, not instead: the model was trained with it.
        const adapted =
          shared.noisy && shared.clean ? perFrame(shared.noisy, current, adapt(current, shared.clean)) : current;
        const patches = tap('final_layer', () => linear(p.at('final_layer.linear'), adapted));
        const { shape, whole } = shared.geometry;
        const withOutputs = ([batch, , ...axes]: VideoShape): VideoShape => [batch, outChannels(config), ...axes];
        return cropVideo(unpatchify(patches, withOutputs(whole), config.patch_size), withOutputs(shape));
      });
    },

    async signal({ tokens, shared }): Promise<tf.Tensor> {
      return weights.use('spatial_blocks.0', first =>
        tidy(() => {
          // Every frame at the current time, whichever are clean: that is what TeaCache compares.
          const current = tf.expandDims(project(shared.time), 1);
          const [shift, scale] = factors(current, first.tensor('scale_shift_table')) as Six;
          return normed(tokens.hidden, shift, scale);
        }),
      );
    },
  };
}
