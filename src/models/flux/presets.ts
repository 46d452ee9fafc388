import type { Preset } from '../preset';

const transformer = {
  _class_name: 'FluxTransformer2DModel',
  num_layers: 19,
  num_single_layers: 38,
  num_attention_heads: 24,
  attention_head_dim: 128,
  in_channels: 64,
  joint_attention_dim: 4096,
  pooled_projection_dim: 768,
  axes_dims_rope: [16, 56, 56],
};

/** The autoencoder of all of them. */
export const fluxAutoencoder = {
  className: 'AutoencoderKL',
  config: {
    _class_name: 'AutoencoderKL',
    down_block_types: Array(4).fill('DownEncoderBlock2D'),
    up_block_types: Array(4).fill('UpDecoderBlock2D'),
    block_out_channels: [128, 256, 512, 512],
    layers_per_block: 2,
    latent_channels: 16,
    scaling_factor: 0.3611,
    shift_factor: 0.1159,
    use_quant_conv: false,
    use_post_quant_conv: false,
  },
};

const scheduler = {
  _class_name: 'FlowMatchEulerDiscreteScheduler',
  num_train_timesteps: 1000,
  base_image_seq_len: 256,
  max_image_seq_len: 4096,
  base_shift: 0.5,
  max_shift: 1.15,
};

/** Evenly spread noise levels. */
export const unshifted = { ...scheduler, shift: 1, use_dynamic_shifting: false };

/** FLUX.1 as Black Forest Labs published it. */
export const fluxPresets: readonly Preset[] = [
  {
    name: 'flux-dev',
    title: 'FLUX.1-dev',
    transformer: { ...transformer, guidance_embeds: true },
    scheduler: { ...scheduler, shift: 3, use_dynamic_shifting: true },
    autoencoder: fluxAutoencoder,
  },
  {
    name: 'flux-schnell',
    title: 'FLUX.1-schnell',
    transformer: { ...transformer, guidance_embeds: false },
    scheduler: unshifted,
    autoencoder: fluxAutoencoder,
  },
];
