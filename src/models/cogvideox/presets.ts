import type { Preset } from '../preset';

const transformer = {
  _class_name: 'CogVideoXTransformer3DModel',
  attention_head_dim: 64,
  in_channels: 16,
  out_channels: 16,
  time_embed_dim: 512,
  text_embed_dim: 4096,
  sample_width: 90,
  sample_height: 60,
  sample_frames: 49,
  patch_size: 2,
  temporal_compression_ratio: 4,
  max_text_seq_length: 226,
  spatial_interpolation_scale: 1.875,
  temporal_interpolation_scale: 1,
};

const scheduler = {
  _class_name: 'CogVideoXDDIMScheduler',
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  prediction_type: 'v_prediction',
  rescale_betas_zero_snr: true,
  set_alpha_to_one: true,
  timestep_spacing: 'trailing',
};

const autoencoder = { className: 'AutoencoderKLCogVideoX', config: { _class_name: 'AutoencoderKLCogVideoX' } };

/** CogVideoX as Zhipu AI published it. */
export const cogVideoXPresets: readonly Preset[] = [
  {
    name: 'cogvideox-2b',
    title: 'CogVideoX-2B',
    transformer: { ...transformer, num_layers: 30, num_attention_heads: 30, use_rotary_positional_embeddings: false },
    scheduler: { ...scheduler, snr_shift_scale: 3 },
    autoencoder,
  },
  {
    name: 'cogvideox-5b',
    title: 'CogVideoX-5B',
    transformer: { ...transformer, num_layers: 42, num_attention_heads: 48, use_rotary_positional_embeddings: true },
    scheduler: { ...scheduler, snr_shift_scale: 1 },
    autoencoder,
  },
];
