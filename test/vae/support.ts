import * as tf from '@tensorflow/tfjs-core';
import { autoencoderOf } from '../../src/models/autoencoders';
import type { Autoencoder } from '../../src/models/vae/autoencoder';
import type { Params } from '../../src/nn/params';
import { syntheticStore } from '../../src/weights/memory-store';

/** The smallest autoencoder of each class. */
export const smallConfigs: Readonly<Record<string, unknown>> = {
  AutoencoderKL: {
    _class_name: 'AutoencoderKL',
    down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
    up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
    block_out_channels: [4, 8],
    latent_channels: 2,
    norm_num_groups: 2,
    scaling_factor: 0.5,
    shift_factor: 0.25,
    sample_size: 8,
  },
  AutoencoderKLWan: {
    _class_name: 'AutoencoderKLWan',
    base_dim: 4,
    z_dim: 2,
    dim_mult: [1, 2, 2],
    num_res_blocks: 1,
    temperal_downsample: [true, true],
    latents_mean: [0.5, -1],
    latents_std: [2, 3],
  },
  AutoencoderKLCogVideoX: {
    _class_name: 'AutoencoderKLCogVideoX',
    block_out_channels: [4, 4, 8],
    latent_channels: 2,
    layers_per_block: 1,
    norm_num_groups: 2,
    sample_height: 16,
    sample_width: 24,
  },
  VideoAutoencoderPipeline: {
    architectures: ['VideoAutoencoderPipeline'],
    micro_frame_size: 5,
    scale: [2, 3],
    shift: [1, -1],
    vae_2d: {
      config: {
        down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'],
        up_block_types: ['UpDecoderBlock2D', 'UpDecoderBlock2D'],
        block_out_channels: [4, 8],
        latent_channels: 2,
        norm_num_groups: 2,
        layers_per_block: 1,
      },
    },
    vae_temporal: {
      in_out_channels: 2,
      latent_embed_dim: 2,
      embed_dim: 2,
      filters: 4,
      num_res_blocks: 1,
      num_groups: 2,
      channel_multipliers: [1, 1, 2],
      temporal_downsample: [true, true],
    },
  },
};

/** Runs `work` on the smallest autoencoder of a class, with made-up weights. */
export async function withSmall<T>(className: string, work: (model: Autoencoder) => Promise<T>): Promise<T> {
  const model = autoencoderOf(className);
  const config = model.schema.parse(smallConfigs[className]);
  const weights = syntheticStore(model.parameters(config), 7);
  try {
    return await work(model.create(config, weights));
  } finally {
    weights.dispose();
  }
}

/** Numbers in -1 … 1 that are the same in every run. */
export function noise(shape: number[], seed = 1): tf.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233)),
    shape,
  );
}

/** The parameters of one layer. */
export function paramsOf(tensors: Readonly<Record<string, tf.Tensor>>): Params {
  return {
    tensor(name) {
      const found = tensors[name];
      if (found) return found;
      throw new Error(`no ${name}`);
    },
    has: name => name in tensors,
    at: name =>
      paramsOf(Object.fromEntries(Object.entries(tensors).map(([key, t]) => [key.replace(`${name}.`, ''), t]))),
  };
}

export function maxDifference(a: tf.Tensor, b: tf.Tensor): number {
  expect(a.shape).toEqual(b.shape);
  return tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] as number);
}
