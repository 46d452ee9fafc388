import type { Preset } from '../preset';

const transformer = {
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

const scheduler = {
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

const autoencoder = { className: 'AutoencoderKLWan', config: { _class_name: 'AutoencoderKLWan' } };

/** Wan2.1 text to video as its authors published it. */
export const wanPresets: readonly Preset[] = [
  {
    name: 'wan2.1-t2v-1.3b',
    title: 'Wan2.1 T2V 1.3B',
    transformer: { ...transformer, num_layers: 30, num_attention_heads: 12, ffn_dim: 8960 },
    scheduler: { ...scheduler, flow_shift: 3 },
    autoencoder,
  },
  {
    name: 'wan2.1-t2v-14b',
    title: 'Wan2.1 T2V 14B',
    transformer: { ...transformer, num_layers: 40, num_attention_heads: 40, ffn_dim: 13824 },
    scheduler: { ...scheduler, flow_shift: 5 },
    autoencoder,
  },
];
