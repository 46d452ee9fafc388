import type { Preset } from '../preset';

/** Open-Sora 1.2 as HPC-AI Tech published it. */
export const openSoraPresets: readonly Preset[] = [
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
    autoencoder: { className: 'VideoAutoencoderPipeline', config: { architectures: ['VideoAutoencoderPipeline'] } },
  },
];
