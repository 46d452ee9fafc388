/**
 * AutoencoderKL (Rombach et al., 2022; diffusers `AutoencoderKL`): FLUX's with 16 channels and no quant convolutions,
 * the 4-channel kind with them.
 *
 * Every image alone. Shapes: H rows, W columns, C channels, channels last inside.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { silu } from '../../nn/activation';
import { attention } from '../../nn/attention';
import { inBands } from '../../nn/bands';
import { conv2d } from '../../nn/conv2d';
import { applyAffine, groupNorm } from '../../nn/group-norm';
import { linear } from '../../nn/linear';
import type { Params } from '../../nn/params';
import { range } from '../../nn/positions';
import { tidy } from '../../nn/scope';
import { upsampleNearest } from '../../nn/upsample';
import {
  linear as linearParameters,
  type ParameterTable,
  repeated,
  scoped,
  type WeightStore,
} from '../../weights/parameters';
import { type Autoencoder, autoencoderClass, type Codec } from './autoencoder';
import { klKeys } from './kl-keys';
import type { Module } from './module';
import { conv2d as conv2dParameters, norm as normParameters } from './parameters';
import { autoencoder } from './run';
import { sequence } from './sequence';

const NORM_EPS = 1e-6;

const fields = z.object({
  in_channels: count(MOST.channels).default(3),
  out_channels: count(MOST.channels).default(3),
  down_block_types: z.array(z.literal('DownEncoderBlock2D')).max(MOST.stages).default(['DownEncoderBlock2D']),
  up_block_types: z.array(z.literal('UpDecoderBlock2D')).max(MOST.stages).default(['UpDecoderBlock2D']),
  block_out_channels: z.array(count(MOST.channels)).min(1).max(MOST.stages).default([64]),
  layers_per_block: count(MOST.layers).default(1),
  act_fn: z.literal('silu').default('silu'),
  latent_channels: count(MOST.channels).default(4),
  norm_num_groups: count(MOST.channels).default(32),
  sample_size: count(MOST.pixels).default(32),
  scaling_factor: z.number().positive().default(0.18215),
  shift_factor: z.number().nullish(),
  latents_mean: z.null({ error: 'statistics for each channel are not supported' }).optional(),
  latents_std: z.null({ error: 'statistics for each channel are not supported' }).optional(),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  mid_block_add_attention: z.boolean().default(true),
});

const groupsFit = (c: z.infer<typeof fields>): boolean => c.block_out_channels.every(n => n % c.norm_num_groups === 0);
const misfit = { path: ['norm_num_groups'], error: 'every block needs a multiple of it as channels' };

/** The configuration without the name of a class, as it stands inside another model's. */
export const klFields = fields.refine(groupsFit, misfit);

export const klConfig = knowing(fields.extend({ _class_name: z.literal('AutoencoderKL') }).refine(groupsFit, misfit), {
  idle: ['force_upcast'],
});

export type KlFields = z.infer<typeof klFields>;
export type KlConfig = z.infer<typeof klConfig>;

/** Every parameter of an AutoencoderKL, as diffusers names them. */
export function klParameters(c: KlFields): ParameterTable {
  const outward = c.block_out_channels;
  const inward = [...outward].reverse();
  const [first, last] = [outward[0] as number, inward[0] as number];
  const resnet = (inputs: number, outputs: number): ParameterTable => [
    ...normParameters('norm1', inputs),
    ...conv2dParameters('conv1', inputs, outputs),
    ...normParameters('norm2', outputs),
    ...conv2dParameters('conv2', outputs, outputs),
    ...(inputs === outputs ? [] : conv2dParameters('conv_shortcut', inputs, outputs, 1)),
  ];
  const stages = (channels: readonly number[], name: string, layers: number, sampler: string): ParameterTable =>
    repeated(name, channels.length, i => {
      const [inputs, outputs] = [channels[Math.max(0, i - 1)] as number, channels[i] as number];
      return [
        ...repeated('resnets', layers, j => resnet(j === 0 ? inputs : outputs, outputs)),
        ...(i < channels.length - 1 ? conv2dParameters(`${sampler}.0.conv`, outputs, outputs) : []),
      ];
    });
  const middle = scoped('mid_block', [
    ...repeated('resnets', 2, () => resnet(last, last)),
    ...(c.mid_block_add_attention
      ? scoped('attentions.0', [
          ...normParameters('group_norm', last),
          ...['to_q', 'to_k', 'to_v', 'to_out.0'].flatMap(name => linearParameters(name, last, last)),
        ])
      : []),
  ]);
  const moments = 2 * c.latent_channels;

  return [
    ...scoped('encoder', [
      ...conv2dParameters('conv_in', c.in_channels, first),
      ...stages(outward, 'down_blocks', c.layers_per_block, 'downsamplers'),
      ...middle,
      ...normParameters('conv_norm_out', last),
      ...conv2dParameters('conv_out', last, moments),
    ]),
    ...(c.use_quant_conv ? conv2dParameters('quant_conv', moments, moments, 1) : []),
    ...(c.use_post_quant_conv ? conv2dParameters('post_quant_conv', c.latent_channels, c.latent_channels, 1) : []),
    ...scoped('decoder', [
      ...conv2dParameters('conv_in', c.latent_channels, last),
      ...middle,
      ...stages(inward, 'up_blocks', c.layers_per_block + 1, 'upsamplers'),
      ...normParameters('conv_norm_out', first),
      ...conv2dParameters('conv_out', first, c.out_channels),
    ]),
  ];
}

/** GroupNorm, then SiLU. */
function activated(p: Params, x: tf.Tensor, c: KlFields): tf.Tensor {
  const affine = groupNorm(p, [x], c.norm_num_groups, NORM_EPS);
  return inBands(x, band => silu(applyAffine(band, affine)));
}

function resnet(m: Module, x: tf.Tensor, c: KlFields): tf.Tensor {
  const h = sequence(x, [
    t => activated(m.at('norm1'), t, c),
    t => conv2d(m.at('conv1'), t),
    t => activated(m.at('norm2'), t, c),
    t => conv2d(m.at('conv2'), t),
  ]);
  return tf.add(m.has('conv_shortcut.weight') ? conv2d(m.at('conv_shortcut'), x) : x, h);
}

/** Attention of every pixel to every pixel, one head. */
function attend(m: Module, x: tf.Tensor, c: KlFields): tf.Tensor {
  const [, height, width, channels] = x.shape as [number, number, number, number];
  const normed = applyAffine(x, groupNorm(m.at('group_norm'), [x], c.norm_num_groups, NORM_EPS));
  const heads = (name: string): tf.Tensor => tf.reshape(linear(m.at(name), normed), [1, height * width, 1, channels]);
  const attended = tidy(() => attention(heads('to_q'), heads('to_k'), heads('to_v')));
  return tf.add(x, tf.reshape(linear(m.at('to_out.0'), attended), x.shape));
}

function middle(m: Module, x: tf.Tensor, c: KlFields): tf.Tensor {
  return m.seen(
    sequence(x, [
      t => resnet(m.at('resnets.0'), t, c),
      t => (c.mid_block_add_attention ? m.at('attentions.0').seen(attend(m.at('attentions.0'), t, c)) : t),
      t => resnet(m.at('resnets.1'), t, c),
    ]),
  );
}

function downBlock(m: Module, x: tf.Tensor, c: KlFields, isLast: boolean): tf.Tensor {
  return sequence(x, [
    ...range(c.layers_per_block).map(i => (t: tf.Tensor) => resnet(m.at(`resnets.${i}`), t, c)),
    t => m.seen(isLast ? t : conv2d(m.at('downsamplers.0.conv'), t, { stride: 2, pad: [0, 1, 0, 1] })),
  ]);
}

function upBlock(m: Module, x: tf.Tensor, c: KlFields, isLast: boolean): tf.Tensor {
  return sequence(x, [
    ...range(c.layers_per_block + 1).map(i => (t: tf.Tensor) => resnet(m.at(`resnets.${i}`), t, c)),
    t => m.seen(isLast ? t : conv2d(m.at('upsamplers.0.conv'), upsampleNearest(t, 2))),
  ]);
}

/** The last norm, which watchers see before its activation, and the last convolution. */
function head(m: Module, x: tf.Tensor, c: KlFields): tf.Tensor {
  const affine = groupNorm(m.at('conv_norm_out'), [x], c.norm_num_groups, NORM_EPS);
  return sequence(x, [
    t => inBands(t, band => applyAffine(band, affine)),
    t => inBands(m.at('conv_norm_out').seen(t), silu),
    t => m.at('conv_out').seen(conv2d(m.at('conv_out'), t)),
  ]);
}

/** An image `[1, H, W, 3]` to the moments of its latent `[1, h, w, 2C]`. */
export function klEncode(m: Module, image: tf.Tensor, c: KlFields): tf.Tensor {
  const e = m.at('encoder');
  const last = c.block_out_channels.length - 1;
  return sequence(image, [
    x => e.at('conv_in').seen(conv2d(e.at('conv_in'), x)),
    ...range(last + 1).map(i => (x: tf.Tensor) => downBlock(e.at(`down_blocks.${i}`), x, c, i === last)),
    x => middle(e.at('mid_block'), x, c),
    x => head(e, x, c),
    x => m.at('moments').seen(c.use_quant_conv ? conv2d(m.at('quant_conv'), x) : x),
  ]);
}

/** A latent `[1, h, w, C]` to an image `[1, H, W, 3]`. */
export function klDecode(m: Module, latent: tf.Tensor, c: KlFields): tf.Tensor {
  const d = m.at('decoder');
  const last = c.block_out_channels.length - 1;
  return sequence(latent, [
    x => (c.use_post_quant_conv ? conv2d(m.at('post_quant_conv'), x) : x),
    x => d.at('conv_in').seen(conv2d(d.at('conv_in'), x)),
    x => middle(d.at('mid_block'), x, c),
    ...range(last + 1).map(i => (x: tf.Tensor) => upBlock(d.at(`up_blocks.${i}`), x, c, i === last)),
    x => head(d, x, c),
  ]);
}

function codec(c: KlConfig): Codec {
  const space = 2 ** (c.block_out_channels.length - 1);
  const tile = Math.max(1, Math.floor(c.sample_size / space));
  const stride = Math.max(1, Math.floor(tile * 0.75));
  return {
    name: 'AutoencoderKL',
    compression: { time: 1, space },
    latentChannels: c.latent_channels,
    pixelChannels: c.in_channels,
    tiling: { tile: [tile, tile], stride: [stride, stride] },
    images: true,
    anyLength: false,
    latentFrames: frames => frames,
    clipFrames: frames => frames,
    denormalise: latents => tf.add(tf.div(latents, c.scaling_factor), c.shift_factor ?? 0),
    normalise: latent => tf.mul(tf.sub(latent, c.shift_factor ?? 0), c.scaling_factor),
    *decode(m, frames) {
      for (const latent of frames) yield [tidy(() => klDecode(m, latent, c))];
    },
    *encode(m, frames) {
      for (const image of frames) yield [tidy(() => klEncode(m, image, c))];
    },
  };
}

/** FLUX's autoencoder, and others of its class. */
export function createKl(config: KlConfig, weights: WeightStore): Autoencoder {
  return autoencoder(codec(config), weights);
}

/** The class, for the list of its family. */
export const kl = autoencoderClass({ schema: klConfig, parameters: klParameters, keys: klKeys, create: createKl });
