import type { Preset } from '../preset';

const transformer = {
  _class_name: 'MiniT2IMMJiTModel',
  image_size: 512,
  patch_size: 16,
  in_channels: 3,
  txt_input_size: 1024,
  txt_preamble_depth: 2,
  pca_channels: 128,
  prompt_length: 256,
  n_T: 100,
  prediction: 'x',
  sampler: 'euler',
  cfg_channels: 3,
  cfg_interval: [0, 1],
  llm: 'google/flan-t5-large',
};

const scheduler = { _class_name: 'MiniT2IFlowMatchScheduler', num_inference_steps: 100 };

/** MiniT2I as its authors published it. */
export const miniT2IPresets: readonly Preset[] = [
  {
    name: 'minit2i-b-16',
    title: 'MiniT2I B/16',
    transformer: {
      ...transformer,
      hidden_size: 768,
      txt_hidden_size: 768,
      cond_vec_size: 768,
      depth_double: 17,
      num_heads: 12,
      head_dim: 64,
      mlp_ratio: 8 / 3,
    },
    scheduler,
  },
  {
    name: 'minit2i-l-16',
    title: 'MiniT2I L/16',
    transformer: {
      ...transformer,
      hidden_size: 1248,
      txt_hidden_size: 1248,
      cond_vec_size: 1248,
      depth_double: 23,
      num_heads: 24,
      head_dim: 52,
      mlp_ratio: 2.7,
    },
    scheduler,
  },
];
