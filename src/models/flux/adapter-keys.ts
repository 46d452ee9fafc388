import type { Group } from '../../weights/key-layout';

/**
 * The attention processors that xlabs trains: 1 for the image, 2 for the text. In single blocks theirs covers queries,
 * keys and values alone, of a matrix that holds the feed-forward's first layer too.
 */
export const fluxAdapterKeys: readonly Group[] = [
  {
    theirs: 'double_blocks',
    ours: 'transformer_blocks',
    modules: {
      'processor.qkv_lora1': ['attn.to_q', 'attn.to_k', 'attn.to_v'],
      'processor.qkv_lora2': ['attn.add_q_proj', 'attn.add_k_proj', 'attn.add_v_proj'],
      'processor.proj_lora1': 'attn.to_out.0',
      'processor.proj_lora2': 'attn.to_add_out',
    },
  },
  {
    theirs: 'single_blocks',
    ours: 'single_transformer_blocks',
    modules: {
      'processor.qkv_lora': ['attn.to_q', 'attn.to_k', 'attn.to_v'],
      'processor.proj_lora': 'proj_out',
    },
  },
];
