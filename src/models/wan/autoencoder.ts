/**
 * The autoencoder of Wan2.1 (Wan Team, 2025; diffusers `AutoencoderKLWan`): causal convolutions over time, norms that
 * look at one pixel, attention within a frame.
 *
 * Nothing looks ahead and every convolution remembers its last two frames, so a video streams through: each frame
 * goes depth first through all blocks, and no block ever holds more than one.
 * Shapes: frames `[1, H, W, C]`, channels last inside.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { silu } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { inBands } from '../../nn/bands';
import { conv2d } from '../../nn/conv2d';
import { conv3dFrame } from '../../nn/conv3d';
import type { Params } from '../../nn/params';
import { range } from '../../nn/positions';
import { tidy } from '../../nn/scope';
import { upsampleNearest } from '../../nn/upsample';
import { type ParameterTable, plain, repeated, scoped, type WeightStore } from '../../weights/parameters';
import { type Autoencoder, autoencoderClass, type Codec } from '../vae/autoencoder';
import { causalConv } from '../vae/causal';
import type { Module } from '../vae/module';
import { conv2d as conv2dParameters, conv3d as conv3dParameters } from '../vae/parameters';
import { autoencoder } from '../vae/run';
import { sequence } from '../vae/sequence';

/** Statistics of the published model's latents. */
const MEANS = [
  -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
  -0.9497, 0.2503, -0.2921,
];
const DEVIATIONS = [
  2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
  2.8251, 1.916,
];

/** Pixels of a side of a tile and from one tile to the next, when nothing else is asked for. */
const TILE = 256;
const TILE_STRIDE = 192;

export const wanVaeConfig = knowing(
  z
    .object({
      _class_name: z.literal('AutoencoderKLWan'),
      base_dim: count(MOST.channels).default(96),
      decoder_base_dim: count(MOST.channels).nullish(),
      z_dim: count(MOST.channels).default(16),
      dim_mult: z.array(count(MOST.channels)).min(2).max(MOST.stages).default([1, 2, 4, 4]),
      num_res_blocks: count(MOST.layers).default(2),
      attn_scales: z.array(z.number()).max(0, { error: 'attention between the blocks is not supported' }).default([]),
      temperal_downsample: z.array(z.boolean()).max(MOST.stages).default([false, true, true]),
      latents_mean: z.array(z.number()).default(MEANS),
      latents_std: z.array(z.number().positive()).default(DEVIATIONS),
      in_channels: count(MOST.channels).default(3),
      out_channels: count(MOST.channels).default(3),
      is_residual: z.literal(false, { error: 'the autoencoder of Wan2.2 is not supported' }).default(false),
      patch_size: z.null({ error: 'the autoencoder of Wan2.2 is not supported' }).optional(),
    })
    .refine(c => c.temperal_downsample.length === c.dim_mult.length - 1, {
      path: ['temperal_downsample'],
      error: 'one is needed for every block but the last',
    })
    .refine(c => c.latents_mean.length === c.z_dim && c.latents_std.length === c.z_dim, {
      path: ['latents_mean'],
      error: 'a mean and a deviation are needed for each of z_dim channels',
    }),
  {
    fixed: { scale_factor_temporal: [4], scale_factor_spatial: [8] },
    idle: ['dropout'],
  },
);

export type WanVaeConfig = z.infer<typeof wanVaeConfig>;

/** One stage of the decoder or the encoder. */
interface Stage {
  readonly inputs: number;
  readonly outputs: number;
  /** What follows the residual blocks: a change of size, with or without a change of the frame rate. */
  readonly resample?: 'space' | 'space and time' | undefined;
}

function decoderStages(c: WanVaeConfig): Stage[] {
  const base = c.decoder_base_dim ?? c.base_dim;
  const dims = [...c.dim_mult].reverse().map(m => m * base);
  const doubling = [...c.temperal_downsample].reverse();
  return dims.map((outputs, i) => ({
    // Up-sampling halves the channels.
    inputs: i === 0 ? outputs : Math.floor((dims[i - 1] as number) / 2),
    outputs,
    resample: resampling(doubling[i]),
  }));
}

function encoderStages(c: WanVaeConfig): Stage[] {
  const dims = c.dim_mult.map(m => m * c.base_dim);
  return dims.map((outputs, i) => ({
    inputs: i === 0 ? c.base_dim : (dims[i - 1] as number),
    outputs,
    resample: resampling(c.temperal_downsample[i]),
  }));
}

const resampling = (time: boolean | undefined): Stage['resample'] =>
  time === undefined ? undefined : time ? 'space and time' : 'space';

/** Every parameter of a Wan autoencoder, as diffusers names them. */
export function wanVaeParameters(c: WanVaeConfig): ParameterTable {
  const gamma = (name: string, channels: number) => plain(`${name}.gamma`, [channels, 1, 1, 1]);
  const residual = (inputs: number, outputs: number): ParameterTable => [
    gamma('norm1', inputs),
    ...conv3dParameters('conv1', inputs, outputs),
    gamma('norm2', outputs),
    ...conv3dParameters('conv2', outputs, outputs),
    ...(inputs === outputs ? [] : conv3dParameters('conv_shortcut', inputs, outputs, 1)),
  ];
  const middle = (channels: number): ParameterTable =>
    scoped('mid_block', [
      ...repeated('resnets', 2, () => residual(channels, channels)),
      plain('attentions.0.norm.gamma', [channels, 1, 1]),
      ...conv2dParameters('attentions.0.to_qkv', channels, 3 * channels, 1),
      ...conv2dParameters('attentions.0.proj', channels, channels, 1),
    ]);
  const ends = (inputs: number, first: number, last: number, outputs: number): ParameterTable => [
    ...conv3dParameters('conv_in', inputs, first),
    gamma('norm_out', last),
    ...conv3dParameters('conv_out', last, outputs),
  ];
  const up = decoderStages(c);
  const down = encoderStages(c);
  const [top, deepest] = [up.at(-1) as Stage, down.at(-1) as Stage];
  const layers = down.flatMap((stage): ParameterTable[] => [
    ...range(c.num_res_blocks).map(i => residual(i === 0 ? stage.inputs : stage.outputs, stage.outputs)),
    ...(stage.resample
      ? [
          [
            ...conv2dParameters('resample.1', stage.outputs, stage.outputs),
            ...(stage.resample === 'space'
              ? []
              : conv3dParameters('time_conv', stage.outputs, stage.outputs, [3, 1, 1])),
          ],
        ]
      : []),
  ]);

  return [
    ...scoped('encoder', [
      ...ends(c.in_channels, c.base_dim, deepest.outputs, 2 * c.z_dim),
      ...repeated('down_blocks', layers.length, i => layers[i] as ParameterTable),
      ...middle(deepest.outputs),
    ]),
    ...conv3dParameters('quant_conv', 2 * c.z_dim, 2 * c.z_dim, 1),
    ...conv3dParameters('post_quant_conv', c.z_dim, c.z_dim, 1),
    ...scoped('decoder', [
      ...ends(c.z_dim, (up[0] as Stage).inputs, top.outputs, c.out_channels),
      ...middle((up[0] as Stage).inputs),
      ...repeated('up_blocks', up.length, i => {
        const { inputs, outputs, resample } = up[i] as Stage;
        return [
          ...repeated('resnets', c.num_res_blocks + 1, j => residual(j === 0 ? inputs : outputs, outputs)),
          ...(resample ? conv2dParameters('upsamplers.0.resample.1', outputs, Math.floor(outputs / 2)) : []),
          ...(resample === 'space and time'
            ? conv3dParameters('upsamplers.0.time_conv', outputs, 2 * outputs, [3, 1, 1])
            : []),
        ];
      }),
    ]),
  ];
}

/** Every pixel divided by the length of its vector of channels: `x / max(‖x‖, 1e-12) · √C · γ`. */
function pixelNorm(p: Params, x: tf.Tensor): tf.Tensor {
  const channels = x.shape.at(-1) as number;
  const length = tf.maximum(tf.sqrt(tf.sum(tf.mul(x, x), -1, true)), 1e-12);
  return tf.mul(tf.mul(x, tf.div(Math.sqrt(channels), length)), tf.reshape(p.tensor('gamma'), [channels]));
}

const activated = (p: Params, x: tf.Tensor): tf.Tensor => inBands(x, band => silu(pixelNorm(p, band)));

/** The next frame through a causal convolution. */
const conv = (m: Module, x: tf.Tensor): tf.Tensor => causalConv(m, [x])[0] as tf.Tensor;

function residual(m: Module, x: tf.Tensor): tf.Tensor {
  const h = sequence(x, [
    t => activated(m.at('norm1'), t),
    t => conv(m.at('conv1'), t),
    t => activated(m.at('norm2'), t),
    t => conv(m.at('conv2'), t),
  ]);
  return tf.add(m.has('conv_shortcut.weight') ? conv3dFrame(m.at('conv_shortcut'), [x]) : x, h);
}

/** Attention within the frame, one head. */
function attend(m: Module, x: tf.Tensor): tf.Tensor {
  const [, height, width, channels] = x.shape as [number, number, number, number];
  const qkv = tf.reshape(conv2d(m.at('to_qkv'), pixelNorm(m.at('norm'), x)), [1, height * width, 1, 3 * channels]);
  const [q, k, v] = tf.split(qkv, 3, -1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const attended = tf.reshape(
    tidy(() => attention(q, k, v)),
    x.shape,
  );
  return tf.add(x, conv2d(m.at('proj'), attended));
}

function middle(m: Module, x: tf.Tensor): tf.Tensor {
  return m.seen(
    sequence(x, [
      t => residual(m.at('resnets.0'), t),
      t => m.at('attentions.0').seen(attend(m.at('attentions.0'), t)),
      t => residual(m.at('resnets.1'), t),
    ]),
  );
}

/** Two frames for every frame but the first of the video, which stays one and is not remembered. */
function doubled(m: Module, x: tf.Tensor): tf.Tensor[] {
  if (m.past.fresh) {
    m.past.push(undefined);
    m.past.push(undefined);
    return [x];
  }
  return tf.split(conv(m, x), 2, -1);
}

/** One frame for every two after the first, which stays as it is and is remembered. */
function halved(m: Module, x: tf.Tensor): tf.Tensor[] {
  if (!m.past.fresh) return causalConv(m, [x], { stride: 2 });
  m.past.push(x);
  return [x];
}

function upsample(m: Module, x: tf.Tensor, resample: Stage['resample']): tf.Tensor[] {
  if (!resample) return [x];
  const frames = resample === 'space' ? [x] : doubled(m.at('time_conv'), x);
  return frames.map(frame => tidy(() => conv2d(m.at('resample.1'), upsampleNearest(frame, 2))));
}

function downsample(m: Module, x: tf.Tensor, resample: Stage['resample']): tf.Tensor[] {
  const smaller = conv2d(m.at('resample.1'), x, { stride: 2, pad: [0, 1, 0, 1] });
  return resample === 'space' ? [smaller] : halved(m.at('time_conv'), smaller);
}

/** One layer of a chain: a frame in, no, one or two frames out. */
type Layer = (x: tf.Tensor) => tf.Tensor[];

/** A frame through all layers, depth first: what a layer makes goes on at once and is then released. */
function stream(x: tf.Tensor, [layer, ...rest]: readonly Layer[]): tf.Tensor[] {
  if (!layer) return [x.clone()];
  const frames = tidy(() => layer(x).map(frame => (frame === x ? frame.clone() : frame)));
  return frames.flatMap(frame => {
    const results = stream(frame, rest);
    frame.dispose();
    return results;
  });
}

function head(m: Module, x: tf.Tensor): tf.Tensor {
  return sequence(x, [
    t => m.at('norm_out').seen(inBands(t, band => pixelNorm(m.at('norm_out'), band))),
    t => inBands(t, silu),
    t => m.at('conv_out').seen(conv(m.at('conv_out'), t)),
  ]);
}

function decoder(m: Module, c: WanVaeConfig): Layer[] {
  return [
    x => [m.at('conv_in').seen(conv(m.at('conv_in'), x))],
    x => [middle(m.at('mid_block'), x)],
    ...decoderStages(c).map(({ resample }, i): Layer => {
      const block = m.at(`up_blocks.${i}`);
      const resnets = range(c.num_res_blocks + 1).map(j => (t: tf.Tensor) => residual(block.at(`resnets.${j}`), t));
      return x => {
        const refined = sequence(x, resnets);
        return block.seen(upsample(block.at('upsamplers.0'), refined, resample));
      };
    }),
    x => [head(m, x)],
  ];
}

function encoder(m: Module, c: WanVaeConfig): Layer[] {
  const layers = encoderStages(c).flatMap(({ resample }) => [
    ...range(c.num_res_blocks).map(() => (block: Module, x: tf.Tensor): tf.Tensor[] => [residual(block, x)]),
    ...(resample ? [(block: Module, x: tf.Tensor) => downsample(block, x, resample)] : []),
  ]);
  return [
    x => [m.at('conv_in').seen(conv(m.at('conv_in'), x))],
    ...layers.map((layer, i): Layer => {
      const block = m.at(`down_blocks.${i}`);
      return x => block.seen(layer(block, x));
    }),
    x => [middle(m.at('mid_block'), x)],
    x => [head(m, x)],
  ];
}

function codec(c: WanVaeConfig): Codec {
  const space = 2 ** c.temperal_downsample.length;
  const time = 2 ** c.temperal_downsample.filter(Boolean).length;
  const [tile, stride] = [Math.ceil(TILE / space), Math.ceil(TILE_STRIDE / space)];
  const latentFrames = (frames: number): number => 1 + Math.floor((frames - 1) / time);
  const clipFrames = (frames: number): number => 1 + time * (frames - 1);
  const perChannel = (values: readonly number[]): tf.Tensor => tf.tensor(values, [1, c.z_dim, 1, 1, 1]);
  return {
    name: 'AutoencoderKLWan',
    compression: { time, space },
    latentChannels: c.z_dim,
    pixelChannels: c.in_channels,
    tiling: { tile: [tile, tile], stride: [stride, stride] },
    images: false,
    anyLength: false,
    latentFrames,
    clipFrames,
    denormalise: latents => tf.add(tf.mul(latents, perChannel(c.latents_std)), perChannel(c.latents_mean)),
    normalise: latent => tf.div(tf.sub(latent, perChannel(c.latents_mean)), perChannel(c.latents_std)),
    *decode(m, frames) {
      const layers: Layer[] = [x => [conv3dFrame(m.at('post_quant_conv'), [x])], ...decoder(m.at('decoder'), c)];
      for (const latent of frames) yield tidy(() => stream(latent, layers));
    },
    *encode(m, frames) {
      const quantise: Layer = x => [m.at('moments').seen(conv3dFrame(m.at('quant_conv'), [x]))];
      const layers = [...encoder(m.at('encoder'), c), quantise];
      // Frames beyond the last whole group give no latent frame.
      for (const frame of frames.slice(0, clipFrames(latentFrames(frames.length)))) {
        const moments = tidy(() => stream(frame, layers));
        if (moments.length > 0) yield moments;
      }
    },
    finish: pixels => tf.clipByValue(pixels, -1, 1),
  };
}

/** Wan2.1's autoencoder. */
export function createWanVae(config: WanVaeConfig, weights: WeightStore): Autoencoder {
  return autoencoder(codec(config), weights);
}

/** The class, for the list of its family. */
export const wanAutoencoder = autoencoderClass({
  schema: wanVaeConfig,
  parameters: wanVaeParameters,
  create: createWanVae,
});
