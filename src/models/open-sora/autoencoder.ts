/**
 * The autoencoder of Open-Sora 1.2 (Zheng et al., 2024; Open-Sora `VideoAutoencoderPipeline`): an AutoencoderKL for
 * every frame, and between it and the latent a causal network over time that works on chunks of frames.
 *
 * The chunks know nothing of each other. Shapes: lists of frames `[1, H, W, C]`, channels last inside.
 */
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';
import { silu } from '../../nn/activation';
import { inBands } from '../../nn/bands';
import type { Frames } from '../../nn/conv3d';
import { applyAffine, groupNorm } from '../../nn/group-norm';
import { range } from '../../nn/positions';
import { release, tidy } from '../../nn/scope';
import { type ParameterTable, plain, repeated, scoped, type WeightStore } from '../../weights/parameters';
import { type Autoencoder, autoencoderClass, type Codec } from '../vae/autoencoder';
import { type CausalOptions, causalConv } from '../vae/causal';
import { type KlFields, klDecode, klEncode, klFields, klParameters } from '../vae/kl';
import type { Module } from '../vae/module';
import { conv3d as conv3dParameters, norm as normParameters } from '../vae/parameters';
import { autoencoder } from '../vae/run';
import { sequence } from '../vae/sequence';

/** Scale of the spatial latents between the two networks, whatever the spatial configuration says. */
const SPATIAL_SCALE = 0.18215;
const NORM_EPS = 1e-5;

/** The spatial network of the published model, whose configuration only names the repository it is from. */
const PUBLISHED_SPATIAL = {
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array<string>(4).fill('DownEncoderBlock2D'),
  up_block_types: Array<string>(4).fill('UpDecoderBlock2D'),
  layers_per_block: 2,
  sample_size: 512,
};

const temporalFields = z
  .object({
    type: z.enum(['VAE_Temporal', 'VAE_Temporal_SD']).default('VAE_Temporal_SD'),
    in_out_channels: count(MOST.channels).default(4),
    latent_embed_dim: count(MOST.channels).default(4),
    embed_dim: count(MOST.channels).default(4),
    filters: count(MOST.channels).default(128),
    num_res_blocks: count(MOST.layers).default(4),
    channel_multipliers: z.array(count(MOST.channels)).min(2).max(MOST.stages).default([1, 2, 2, 4]),
    temporal_downsample: z.array(z.boolean()).max(MOST.stages).default([false, true, true]),
    num_groups: count(MOST.channels).default(32),
    activation_fn: z.literal('swish').default('swish'),
  })
  .refine(c => c.temporal_downsample.length === c.channel_multipliers.length - 1, {
    path: ['temporal_downsample'],
    error: 'one is needed for every block but the last',
  });

const perChannel = z.array(z.number()).min(1);

export const openSoraVaeConfig = knowing(
  z.object({
    // Open-Sora writes the class as transformers does.
    architectures: z.tuple([z.literal('VideoAutoencoderPipeline')]),
    micro_frame_size: count(MOST.frames).default(17),
    // The values that count stand among the weights; these only say how many there are.
    scale: perChannel.default([3.85, 2.32, 2.33, 3.06]),
    shift: perChannel.default([-0.1, 0.34, 0.27, 0.98]),
    cal_loss: z.literal(false, { error: 'a model that is being trained is not supported' }).default(false),
    vae_2d: z.preprocess(
      given => ({ ...(given as object), config: { ...PUBLISHED_SPATIAL, ...(given as { config?: object })?.config } }),
      z.object({ type: z.literal('VideoAutoencoderKL').default('VideoAutoencoderKL'), config: klFields }),
    ),
    vae_temporal: temporalFields.prefault({}),
  }),
  { idle: ['freeze_vae_2d', 'from_pretrained', 'force_huggingface'] },
);

export type OpenSoraVaeConfig = z.infer<typeof openSoraVaeConfig>;
type TemporalConfig = z.infer<typeof temporalFields>;

/** Every parameter of an Open-Sora autoencoder, as its checkpoint names them. */
export function openSoraVaeParameters(c: OpenSoraVaeConfig): ParameterTable {
  const statistics = [1, c.scale.length, 1, 1, 1];
  return [
    plain('scale', statistics),
    plain('shift', statistics),
    ...scoped('spatial_vae.module', klParameters(c.vae_2d.config)),
    ...scoped('temporal_vae', temporalParameters(c.vae_temporal)),
  ];
}

function temporalParameters(c: TemporalConfig): ParameterTable {
  const conv = (name: string, inputs: number, outputs: number, size = 3, bias = true): ParameterTable =>
    conv3dParameters(`${name}.conv`, inputs, outputs, size, bias);
  const resnet = (inputs: number, outputs: number): ParameterTable => [
    ...normParameters('norm1', inputs),
    ...conv('conv1', inputs, outputs, 3, false),
    ...normParameters('norm2', outputs),
    ...conv('conv2', outputs, outputs, 3, false),
    ...(inputs === outputs ? [] : conv('conv3', inputs, outputs, 1, false)),
  ];
  const resnets = (name: string, inputs: number, outputs: number): ParameterTable =>
    repeated(name, c.num_res_blocks, i => resnet(i === 0 ? inputs : outputs, outputs));
  const widths = c.channel_multipliers.map(m => m * c.filters);
  const [first, last] = [widths[0] as number, widths.at(-1) as number];
  const at = (i: number): number => widths[i] as number;
  const inOrder = range(widths.length);
  const sampled = (i: number): boolean => c.temporal_downsample[i] === true;
  const { in_out_channels: pixels, latent_embed_dim: latent, embed_dim: embedded } = c;

  return [
    ...scoped('encoder', [
      ...conv('conv_in', pixels, c.filters, 3, false),
      ...inOrder.flatMap(i => resnets(`block_res_blocks.${i}`, i === 0 ? c.filters : at(i - 1), at(i))),
      ...inOrder.flatMap(i => (sampled(i) ? conv(`conv_blocks.${i}`, at(i), at(i)) : [])),
      ...resnets('res_blocks', last, last),
      ...normParameters('norm1', last),
      ...conv('conv2', last, 2 * latent, 1),
    ]),
    ...conv('quant_conv', 2 * latent, 2 * embedded, 1),
    ...conv('post_quant_conv', embedded, latent, 1),
    ...scoped('decoder', [
      ...conv('conv1', latent, last),
      ...resnets('res_blocks', last, last),
      ...inOrder.flatMap(i => resnets(`block_res_blocks.${i}`, at(Math.min(i + 1, widths.length - 1)), at(i))),
      ...inOrder.flatMap(i => (sampled(i) ? conv(`conv_blocks.${i}`, at(i + 1), 2 * at(i + 1)) : [])),
      ...normParameters('norm1', first),
      ...conv('conv_out', first, pixels),
    ]),
  ];
}

/** A convolution over the frames of a chunk, with zeros before them. */
function conv(m: Module, frames: Frames, options?: CausalOptions): tf.Tensor[] {
  return causalConv(m.at('conv'), frames, options);
}

/** GroupNorm over the whole chunk. */
function normalised(m: Module, frames: Frames, c: TemporalConfig): (x: tf.Tensor) => tf.Tensor {
  const affine = groupNorm(m, frames, c.num_groups, NORM_EPS);
  return x => inBands(x, band => applyAffine(band, affine));
}

function resnet(m: Module, frames: Frames, c: TemporalConfig): tf.Tensor[] {
  const norm1 = normalised(m.at('norm1'), frames, c);
  const h = conv(m.at('conv1'), frames, { prepare: x => silu(norm1(x)) });
  const norm2 = normalised(m.at('norm2'), h, c);
  const shortcut = m.has('conv3.conv.weight') ? conv(m.at('conv3'), frames) : frames;
  return conv(m.at('conv2'), h, {
    prepare: x => silu(norm2(x)),
    finish: (y, i) => tf.add(y, shortcut[i] as tf.Tensor),
  });
}

function resnets(m: Module, frames: Frames, c: TemporalConfig): Frames {
  const blocks = range(c.num_res_blocks).map(i => m.at(`${i}`));
  return m.seen(
    sequence(
      frames,
      blocks.map(block => (x: Frames) => block.seen(resnet(block, x, c))),
    ),
  );
}

/** Two frames for every one: a convolution to twice the channels, which lie in the order (channel, frame). */
function doubled(m: Module, frames: Frames): tf.Tensor[] {
  return m.seen(conv(m, frames)).flatMap(frame => {
    const [, height, width, channels] = frame.shape as [number, number, number, number];
    const pairs = tf.reshape(frame, [height * width, channels / 2, 2]);
    return [0, 1].map(t => tf.reshape(tf.slice(pairs, [0, 0, t], [-1, -1, 1]), [1, height, width, channels / 2]));
  });
}

/** The last norm, which watchers see before its activation, and the last convolution. */
function head(m: Module, frames: Frames, c: TemporalConfig, last: string): tf.Tensor[] {
  const norm = normalised(m.at('norm1'), frames, c);
  return conv(m.at(last), frames, { prepare: x => silu(m.at('norm1').seen(norm(x))) });
}

/** Frames of spatial latents to the moments of the latent. The number of frames is a multiple of the compression. */
function temporalEncode(m: Module, frames: Frames, c: TemporalConfig): Frames {
  const e = m.at('encoder');
  const blocks = c.channel_multipliers.flatMap((_, i) => [
    (x: Frames) => resnets(e.at(`block_res_blocks.${i}`), x, c),
    (x: Frames) => (c.temporal_downsample[i] ? conv(e.at(`conv_blocks.${i}`), x, { stride: 2, lead: 1 }) : x),
  ]);
  return sequence(frames, [
    x => conv(e.at('conv_in'), x),
    ...blocks,
    x => resnets(e.at('res_blocks'), x, c),
    x => head(e, x, c, 'conv2'),
    x => conv(m.at('quant_conv'), x),
  ]);
}

/** Frames of the latent to frames of spatial latents, as many as there can be. */
function temporalDecode(m: Module, latents: Frames, c: TemporalConfig): Frames {
  const d = m.at('decoder');
  const upward = range(c.channel_multipliers.length).reverse();
  const blocks = upward.flatMap(i => [
    (x: Frames) => resnets(d.at(`block_res_blocks.${i}`), x, c),
    (x: Frames) => (c.temporal_downsample[i - 1] ? doubled(d.at(`conv_blocks.${i - 1}`), x) : unchanged(d, i - 1, x)),
  ]);
  return sequence(latents, [
    x => m.at('post_quant_conv').seen(conv(m.at('post_quant_conv'), x)),
    x => d.at('conv1').seen(conv(d.at('conv1'), x)),
    x => resnets(d.at('res_blocks'), x, c),
    ...blocks,
    x => d.seen(head(d, x, c, 'conv_out')),
  ]);
}

/** Where the reference has an identity in place of a convolution, watchers see what goes through it. */
function unchanged(decoder: Module, block: number, frames: Frames): Frames {
  return block < 0 ? frames : decoder.at(`conv_blocks.${block}`).seen(frames);
}

const chunksOf = (frames: Frames, size: number): Frames[] =>
  range(Math.ceil(frames.length / size)).map(i => frames.slice(size * i, size * (i + 1)));

function codec(c: OpenSoraVaeConfig): Codec {
  const spatial: KlFields = c.vae_2d.config;
  const time = 2 ** c.vae_temporal.temporal_downsample.filter(Boolean).length;
  const space = 2 ** (spatial.block_out_channels.length - 1);
  const micro = c.micro_frame_size;
  const microLatent = Math.ceil(micro / time);
  const tile = Math.max(1, Math.floor(spatial.sample_size / space));
  const stride = Math.max(1, Math.floor(tile * 0.75));
  /** How many frames are missing to a multiple of the compression: they are added, and cut, at the start. */
  const missing = (frames: number): number => (time - (frames % time)) % time;
  const whole = (frames: number, each: number, gives: number, rest: (n: number) => number): number =>
    Math.floor(frames / each) * gives + rest(frames % each);

  return {
    name: 'VideoAutoencoderPipeline',
    compression: { time, space },
    latentChannels: c.vae_temporal.embed_dim,
    pixelChannels: spatial.in_channels,
    tiling: { tile: [tile, tile], stride: [stride, stride] },
    images: false,
    anyLength: true,
    latentFrames: frames => whole(frames, micro, microLatent, n => Math.ceil(n / time)),
    clipFrames: frames => whole(frames, microLatent, micro, n => n * time),
    denormalise: (latents, p) => tf.add(tf.mul(latents, p.tensor('scale')), p.tensor('shift')),
    normalise: (latent, p) => tf.div(tf.sub(latent, p.tensor('shift')), p.tensor('scale')),

    *decode(m, latents, frames) {
      const kl = m.at('spatial_vae.module');
      for (const [i, chunk] of chunksOf(latents, microLatent).entries()) {
        const count = Math.min(micro, frames - i * micro);
        const images = tidy(() => {
          const made = temporalDecode(m.at('temporal_vae'), chunk, c.vae_temporal);
          return [...m.at('x_z').seen(made.slice(missing(count)))];
        });
        m.forget();
        try {
          for (const image of images) yield [tidy(() => klDecode(kl, tf.div(image, SPATIAL_SCALE), spatial))];
        } finally {
          release(images);
        }
      }
    },

    *encode(m, frames) {
      const kl = m.at('spatial_vae.module');
      for (const chunk of chunksOf(frames, micro)) {
        const images = chunk.map(frame =>
          tidy(() => {
            const [mean] = tf.split(klEncode(kl, frame, spatial), 2, -1) as [tf.Tensor];
            return m.at('x_z').seen(tf.mul(mean, SPATIAL_SCALE));
          }),
        );
        const moments = tidy(() => {
          const zeros = range(missing(chunk.length)).map(() => tf.zerosLike(images[0] as tf.Tensor));
          const made = temporalEncode(m.at('temporal_vae'), [...zeros, ...images], c.vae_temporal);
          return [...m.at('moments').seen(made)];
        });
        m.forget();
        release(images);
        yield moments;
      }
    },
  };
}

/** Open-Sora 1.2's autoencoder. */
export function createOpenSoraVae(config: OpenSoraVaeConfig, weights: WeightStore): Autoencoder {
  return autoencoder(codec(config), weights);
}

/** The class, for the list of its family. */
export const openSoraAutoencoder = autoencoderClass({
  schema: openSoraVaeConfig,
  parameters: openSoraVaeParameters,
  create: createOpenSoraVae,
});
