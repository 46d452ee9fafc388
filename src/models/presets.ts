import { ConfigError } from '../errors';

/** A published model: the configurations its repository holds, and how it is usually sampled. */
export interface Preset {
  readonly name: string;
  readonly title: string;
  /** What the transformer's `config.json` says. A folder's own file always wins over this. */
  readonly transformer: { readonly _class_name: string } & Readonly<Record<string, unknown>>;
  /** What the `scheduler_config.json` says. */
  readonly scheduler: { readonly _class_name: string } & Readonly<Record<string, unknown>>;
  /** The autoencoder's class, and what its `config.json` says. */
  readonly autoencoder: { readonly className: string; readonly config: unknown };
  readonly steps: number;
  /** Strength of guidance; 1 is none. */
  readonly guidance: number;
}

const flux = {
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

const kl = {
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

/** Autoencoders whose published sizes are those of their class. */
const usualAutoencoder = (className: string): Preset['autoencoder'] => ({
  className,
  config: { _class_name: className },
});
const openSoraVae = {
  className: 'VideoAutoencoderPipeline',
  config: { architectures: ['VideoAutoencoderPipeline'] },
};

const flowMatchEuler = {
  _class_name: 'FlowMatchEulerDiscreteScheduler',
  num_train_timesteps: 1000,
  base_image_seq_len: 256,
  max_image_seq_len: 4096,
  base_shift: 0.5,
  max_shift: 1.15,
};

const wan = {
  _class_name: 'WanTransformer3DModel',
  attention_head_dim: 128,
  in_channels: 16,
  out_channels: 16,
  text_dim: 4096,
  freq_dim: 256,
  patch_size: [1, 2, 2],
  cross_attn_norm: true,
  qk_norm: 'rms_norm_across_heads',
  eps: 1e-6,
};

const uniPC = {
  _class_name: 'UniPCMultistepScheduler',
  num_train_timesteps: 1000,
  prediction_type: 'flow_prediction',
  use_flow_sigmas: true,
  solver_order: 2,
  solver_type: 'bh2',
  predict_x0: true,
  lower_order_final: true,
  final_sigmas_type: 'zero',
};

const cogVideoX = {
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

const cogVideoXDDIM = {
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

const list: readonly Preset[] = [
  {
    name: 'flux-dev',
    title: 'FLUX.1-dev',
    transformer: { ...flux, guidance_embeds: true },
    scheduler: { ...flowMatchEuler, shift: 3, use_dynamic_shifting: true },
    autoencoder: kl,
    steps: 28,
    guidance: 3.5,
  },
  {
    name: 'flux-schnell',
    title: 'FLUX.1-schnell',
    transformer: { ...flux, guidance_embeds: false },
    scheduler: { ...flowMatchEuler, shift: 1, use_dynamic_shifting: false },
    autoencoder: kl,
    steps: 4,
    guidance: 1,
  },
  {
    name: 'wan2.1-t2v-1.3b',
    title: 'Wan2.1 T2V 1.3B',
    transformer: { ...wan, num_layers: 30, num_attention_heads: 12, ffn_dim: 8960 },
    scheduler: { ...uniPC, flow_shift: 3 },
    autoencoder: usualAutoencoder('AutoencoderKLWan'),
    steps: 50,
    guidance: 5,
  },
  {
    name: 'wan2.1-t2v-14b',
    title: 'Wan2.1 T2V 14B',
    transformer: { ...wan, num_layers: 40, num_attention_heads: 40, ffn_dim: 13824 },
    scheduler: { ...uniPC, flow_shift: 5 },
    autoencoder: usualAutoencoder('AutoencoderKLWan'),
    steps: 50,
    guidance: 5,
  },
  {
    name: 'cogvideox-2b',
    title: 'CogVideoX-2B',
    transformer: { ...cogVideoX, num_layers: 30, num_attention_heads: 30, use_rotary_positional_embeddings: false },
    scheduler: { ...cogVideoXDDIM, snr_shift_scale: 3 },
    autoencoder: usualAutoencoder('AutoencoderKLCogVideoX'),
    steps: 50,
    guidance: 6,
  },
  {
    name: 'cogvideox-5b',
    title: 'CogVideoX-5B',
    transformer: { ...cogVideoX, num_layers: 42, num_attention_heads: 48, use_rotary_positional_embeddings: true },
    scheduler: { ...cogVideoXDDIM, snr_shift_scale: 1 },
    autoencoder: usualAutoencoder('AutoencoderKLCogVideoX'),
    steps: 50,
    guidance: 6,
  },
  {
    name: 'opensora-1.2',
    title: 'Open-Sora 1.2',
    transformer: {
      _class_name: 'STDiT3',
      depth: 28,
      hidden_size: 1152,
      num_heads: 16,
      in_channels: 4,
      caption_channels: 4096,
      model_max_length: 300,
      patch_size: [1, 2, 2],
      input_sq_size: 512,
      mlp_ratio: 4,
      pred_sigma: true,
      qk_norm: true,
    },
    scheduler: {
      _class_name: 'RFLOW',
      num_timesteps: 1000,
      num_sampling_steps: 30,
      cfg_scale: 7,
      use_timestep_transform: true,
    },
    autoencoder: openSoraVae,
    steps: 30,
    guidance: 7,
  },
];

const byName = new Map(list.map(preset => [preset.name, preset]));

export function presetNames(): string[] {
  return [...byName.keys()];
}

/** @throws ConfigError naming the presets there are */
export function preset(name: string): Preset {
  const found = byName.get(name);
  if (found) return found;
  throw new ConfigError(`There is no preset "${name}".`, { hint: `Presets: ${presetNames().join(', ')}.` });
}
