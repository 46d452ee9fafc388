/**
 * The autoencoder of CogVideoX (Yang et al., 2024; diffusers `AutoencoderKLCogVideoX`): causal convolutions over time,
 * and norms over whole batches of frames, which the latent modulates in the decoder.
 *
 * Frames go in batches of the length that the model was trained with; convolutions remember their last two inputs.
 * Shapes: lists of frames `[1, H, W, C]`, channels last inside.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { silu } from '../../nn/activation';
import { inBands } from '../../nn/bands';
import { conv2d } from '../../nn/conv2d';
import { conv3dFrame, type Frames } from '../../nn/conv3d';
import { type Affine, applyAffine, groupNorm } from '../../nn/group-norm';
import { range } from '../../nn/positions';
import { tidy } from '../../nn/scope';
import { upsampleNearest } from '../../nn/upsample';
import { type ParameterTable, repeated, scoped, type WeightStore } from '../../weights/parameters';
import { type Autoencoder, autoencoderClass, type Codec } from '../vae/autoencoder';
import { causalConv } from '../vae/causal';
import type { Module } from '../vae/module';
import { conv2d as conv2dParameters, conv3d as conv3dParameters, norm as normParameters } from '../vae/parameters';
import { autoencoder } from '../vae/run';
import { sequence } from '../vae/sequence';

/** Latent frames to a batch of the decoder, frames to a batch of the encoder. */
const LATENT_BATCH = 2;
const FRAME_BATCH = 8;
/** Residual blocks in the middle. */
const MIDDLE = 2;
/** The norms that the latent modulates, and the last ones, do not take their eps from the configuration. */
const FIXED_EPS = 1e-6;

const unused = z.literal(false, { error: 'quant convolutions are not supported' }).default(false);

export const cogVideoXVaeConfig = knowing(
  z.object({
    _class_name: z.literal('AutoencoderKLCogVideoX'),
    in_channels: count(MOST.channels).default(3),
    out_channels: count(MOST.channels).default(3),
    down_block_types: z.array(z.literal('CogVideoXDownBlock3D')).max(MOST.stages).optional(),
    up_block_types: z.array(z.literal('CogVideoXUpBlock3D')).max(MOST.stages).optional(),
    block_out_channels: z.array(count(MOST.channels)).min(1).max(MOST.stages).default([128, 256, 256, 512]),
    latent_channels: count(MOST.channels).default(16),
    layers_per_block: count(MOST.layers).default(3),
    act_fn: z.literal('silu').default('silu'),
    norm_eps: z.number().positive().default(FIXED_EPS),
    norm_num_groups: count(MOST.channels).default(32),
    temporal_compression_ratio: z.literal(4).default(4),
    sample_height: count(MOST.pixels).default(480),
    sample_width: count(MOST.pixels).default(720),
    scaling_factor: z.number().positive().default(1.15258426),
    use_quant_conv: unused,
    use_post_quant_conv: unused,
  }),
  {
    // The reference's text to video scales latents by `scaling_factor` alone.
    idle: ['force_upcast', 'shift_factor', 'latents_mean', 'latents_std', 'invert_scale_latents'],
  },
);

export type CogVideoXVaeConfig = z.infer<typeof cogVideoXVaeConfig>;

/** How often the frame rate is halved: in the first blocks on the way down, in the first on the way up. */
const timeLevels = (c: CogVideoXVaeConfig): number => Math.log2(c.temporal_compression_ratio);

/** Every parameter of a CogVideoX autoencoder, as diffusers names them. */
export function cogVideoXVaeParameters(c: CogVideoXVaeConfig): ParameterTable {
  const outward = c.block_out_channels;
  const inward = [...outward].reverse();
  const [first, last] = [outward[0] as number, inward[0] as number];
  type Norm = (name: string, channels: number) => ParameterTable;
  const spatialNorm: Norm = (name, channels) =>
    scoped(name, [
      ...normParameters('norm_layer', channels),
      ...conv3dParameters('conv_y.conv', c.latent_channels, channels, 1),
      ...conv3dParameters('conv_b.conv', c.latent_channels, channels, 1),
    ]);
  const resnet = (norm: Norm, inputs: number, outputs: number): ParameterTable => [
    ...norm('norm1', inputs),
    ...conv3dParameters('conv1.conv', inputs, outputs),
    ...norm('norm2', outputs),
    ...conv3dParameters('conv2.conv', outputs, outputs),
    ...(inputs === outputs ? [] : conv3dParameters('conv_shortcut', inputs, outputs, 1)),
  ];
  const stages = (channels: readonly number[], name: string, layers: number, norm: Norm, sampler: string) =>
    repeated(name, channels.length, i => {
      const [inputs, outputs] = [channels[Math.max(0, i - 1)] as number, channels[i] as number];
      return [
        ...repeated('resnets', layers, j => resnet(norm, j === 0 ? inputs : outputs, outputs)),
        ...(i < channels.length - 1 ? conv2dParameters(`${sampler}.0.conv`, outputs, outputs) : []),
      ];
    });
  const middle = (norm: Norm): ParameterTable => repeated('mid_block.resnets', MIDDLE, () => resnet(norm, last, last));

  return [
    ...scoped('encoder', [
      ...conv3dParameters('conv_in.conv', c.in_channels, first),
      ...stages(outward, 'down_blocks', c.layers_per_block, normParameters, 'downsamplers'),
      ...middle(normParameters),
      ...normParameters('norm_out', last),
      ...conv3dParameters('conv_out.conv', last, 2 * c.latent_channels),
    ]),
    ...scoped('decoder', [
      ...conv3dParameters('conv_in.conv', c.latent_channels, last),
      ...middle(spatialNorm),
      ...stages(inward, 'up_blocks', c.layers_per_block + 1, spatialNorm, 'upsamplers'),
      ...spatialNorm('norm_out', first),
      ...conv3dParameters('conv_out.conv', first, c.out_channels),
    ]),
  ];
}

/** The affine map that normalises a frame; `index` is the frame's place in its batch. */
type Norm = (index: number) => Affine;
/** Makes the norm of a batch of frames. */
type NormOf = (m: Module, frames: Frames) => Norm;

/** GroupNorm over the batch of frames. */
function plainNorm(c: CogVideoXVaeConfig, eps: number): NormOf {
  return (m, frames) => {
    const affine = groupNorm(m, frames, c.norm_num_groups, eps);
    return () => affine;
  };
}

/**
 * The latent frame that belongs to frame `index` of `count`. In a batch with a leading single frame (an odd count)
 * that one belongs to the first latent frame, and the rest are spread over the rest.
 */
function latentIndex(index: number, count: number, latents: number): number {
  if (count === 1 || count % 2 === 0) return Math.floor((index * latents) / count);
  return index === 0 ? 0 : 1 + Math.floor(((index - 1) * (latents - 1)) / (count - 1));
}

/**
 * GroupNorm, then a factor and a summand that the latent gives every pixel. Both come from the latent through a
 * convolution that looks at one pixel, so everything is worked out at the latent's size; `activated` spreads it.
 */
function latentNorm(c: CogVideoXVaeConfig, latents: Frames): NormOf {
  return (m, frames) => {
    const { scale, shift } = groupNorm(m.at('norm_layer'), frames, c.norm_num_groups, FIXED_EPS);
    const maps = latents.map(latent => {
      const factor = conv3dFrame(m.at('conv_y.conv'), [latent]);
      const summand = conv3dFrame(m.at('conv_b.conv'), [latent]);
      return { scale: tf.mul(scale, factor), shift: tf.add(tf.mul(shift, factor), summand) };
    });
    return index => maps[latentIndex(index, frames.length, latents.length)] as Affine;
  };
}

function normalised(x: tf.Tensor, { scale, shift }: Affine, then = (t: tf.Tensor): tf.Tensor => t): tf.Tensor {
  const height = x.shape[1] as number;
  const spread = (t: tf.Tensor): tf.Tensor => (t.rank === 1 ? t : upsampleNearest(t, height / (t.shape[1] as number)));
  const whole = { scale: spread(scale), shift: spread(shift) };
  return inBands(x, (band, cut) => then(applyAffine(band, { scale: cut(whole.scale), shift: cut(whole.shift) })));
}

/** The next frames through a causal convolution; the first of a video stands for those before it. */
function conv(
  m: Module,
  frames: Frames,
  prepare?: (frame: tf.Tensor, index: number) => tf.Tensor,
  finish?: (frame: tf.Tensor, index: number) => tf.Tensor,
): tf.Tensor[] {
  return causalConv(m.at('conv'), frames, { fill: 'first', prepare, finish });
}

function resnet(m: Module, frames: Frames, norm: NormOf): tf.Tensor[] {
  const shortcut = m.has('conv_shortcut.weight') ? m.at('conv_shortcut') : undefined;
  const norm1 = norm(m.at('norm1'), frames);
  const h = conv(m.at('conv1'), frames, (x, i) => normalised(x, norm1(i), silu));
  const norm2 = norm(m.at('norm2'), h);
  return conv(
    m.at('conv2'),
    h,
    (x, i) => normalised(x, norm2(i), silu),
    (y, i) => tf.add(y, shortcut ? conv3dFrame(shortcut, [frames[i]]) : (frames[i] as tf.Tensor)),
  );
}

/** Averages of pairs of frames; an odd first frame stays as it is. */
function halved(frames: Frames): tf.Tensor[] {
  const odd = frames.length % 2;
  return [
    ...frames.slice(0, odd),
    ...range((frames.length - odd) / 2).map(i =>
      tidy(() => tf.mul(tf.add(frames[odd + 2 * i] as tf.Tensor, frames[odd + 2 * i + 1] as tf.Tensor), 0.5)),
    ),
  ];
}

/** Half the size, and half the frame rate where `time` says so. */
function downsample(m: Module, frames: Frames, time: boolean): tf.Tensor[] {
  const fewer = time ? halved(frames) : frames;
  return fewer.map(x => tidy(() => conv2d(m.at('conv'), x, { stride: 2, pad: [0, 1, 0, 1] })));
}

/** Twice the size, and every frame twice where `time` says so; an odd first frame, and a single one, once. */
function upsample(m: Module, frames: Frames, time: boolean): tf.Tensor[] {
  return frames.flatMap((x, i) => {
    const larger = tidy(() => conv2d(m.at('conv'), upsampleNearest(x, 2)));
    const once = !time || frames.length === 1 || (frames.length % 2 === 1 && i === 0);
    // The copies are the same to every pixel: one convolution serves both.
    return once ? [larger] : [larger, larger.clone()];
  });
}

const blocks = (m: Module, count: number, norm: NormOf) =>
  range(count).map(i => (x: Frames) => resnet(m.at(`resnets.${i}`), x, norm));

function middle(m: Module, frames: Frames, norm: NormOf): Frames {
  return m.seen(sequence(frames, blocks(m, MIDDLE, norm)));
}

function downBlock(m: Module, frames: Frames, index: number, c: CogVideoXVaeConfig): Frames {
  const isLast = index === c.block_out_channels.length - 1;
  const time = index < timeLevels(c);
  return sequence(frames, [
    ...blocks(m, c.layers_per_block, plainNorm(c, c.norm_eps)),
    x => m.seen(isLast ? x : downsample(m.at('downsamplers.0'), x, time)),
  ]);
}

function upBlock(m: Module, frames: Frames, index: number, c: CogVideoXVaeConfig, norm: NormOf): Frames {
  const isLast = index === c.block_out_channels.length - 1;
  const time = index < timeLevels(c);
  return sequence(frames, [
    ...blocks(m, c.layers_per_block + 1, norm),
    x => m.seen(isLast ? x : upsample(m.at('upsamplers.0'), x, time)),
  ]);
}

/** The last norm, which watchers see before its activation, and the last convolution. */
function head(m: Module, frames: Frames, normOf: NormOf): Frames {
  const norm = normOf(m.at('norm_out'), frames);
  const prepare = (x: tf.Tensor, i: number): tf.Tensor => silu(m.at('norm_out').seen(normalised(x, norm(i))));
  return m.at('conv_out').seen(conv(m.at('conv_out'), frames, prepare));
}

function encoder(m: Module, frames: Frames, c: CogVideoXVaeConfig): Frames {
  return sequence(frames, [
    x => m.at('conv_in').seen(conv(m.at('conv_in'), x)),
    ...c.block_out_channels.map((_, i) => (x: Frames) => downBlock(m.at(`down_blocks.${i}`), x, i, c)),
    x => middle(m.at('mid_block'), x, plainNorm(c, c.norm_eps)),
    x => head(m, x, plainNorm(c, FIXED_EPS)),
  ]);
}

function decoder(m: Module, latents: Frames, c: CogVideoXVaeConfig): Frames {
  const norm = latentNorm(c, latents);
  return sequence(latents, [
    x => m.at('conv_in').seen(conv(m.at('conv_in'), x)),
    x => middle(m.at('mid_block'), x, norm),
    ...c.block_out_channels.map((_, i) => (x: Frames) => upBlock(m.at(`up_blocks.${i}`), x, i, c, norm)),
    x => head(m, x, norm),
  ]);
}

/** Batches of `size` frames, the first of which takes the frames that are over. */
function batches(frames: Frames, size: number): Frames[] {
  const over = frames.length % size;
  const count = Math.max(1, Math.floor(frames.length / size));
  return range(count).map(i => frames.slice(i === 0 ? 0 : size * i + over, size * (i + 1) + over));
}

function codec(c: CogVideoXVaeConfig): Codec {
  const time = c.temporal_compression_ratio;
  const space = 2 ** (c.block_out_channels.length - 1);
  // Half the size that the model is meant for, overlapping by a sixth of the rows and a fifth of the columns.
  const tile = [c.sample_height, c.sample_width].map(n => Math.max(1, Math.floor(Math.floor(n / 2) / space)));
  const [rows, columns] = tile as [number, number];
  const stride = (n: number, overlap: number): number => Math.max(1, Math.floor(n * (1 - 1 / overlap)));
  return {
    name: 'AutoencoderKLCogVideoX',
    compression: { time, space },
    latentChannels: c.latent_channels,
    pixelChannels: c.in_channels,
    tiling: { tile: [rows, columns], stride: [stride(rows, 6), stride(columns, 5)] },
    images: false,
    anyLength: false,
    latentFrames: frames => (frames % 2 === 1 ? 1 + Math.floor((frames - 1) / time) : Math.ceil(frames / time)),
    clipFrames: frames => (frames % 2 === 1 ? 1 + time * (frames - 1) : time * frames),
    denormalise: latents => tf.div(latents, c.scaling_factor),
    normalise: latent => tf.mul(latent, c.scaling_factor),
    *decode(m, frames) {
      for (const batch of batches(frames, LATENT_BATCH)) yield tidy(() => [...decoder(m.at('decoder'), batch, c)]);
    },
    *encode(m, frames) {
      for (const batch of batches(frames, FRAME_BATCH)) {
        yield tidy(() => [...m.at('moments').seen(encoder(m.at('encoder'), batch, c))]);
      }
    },
  };
}

/** CogVideoX's autoencoder. */
export function createCogVideoXVae(config: CogVideoXVaeConfig, weights: WeightStore): Autoencoder {
  return autoencoder(codec(config), weights);
}

/** The class, for the list of its family. */
export const cogVideoXAutoencoder = autoencoderClass({
  schema: cogVideoXVaeConfig,
  parameters: cogVideoXVaeParameters,
  create: createCogVideoXVae,
});
