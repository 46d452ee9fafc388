import type { KeyLayout, Modules } from '../../weights/key-layout';

/** A double block of the authors' code, without modulations. */
export const doubleBlockKeys: Modules = {
  'img_attn.qkv': ['attn.to_q', 'attn.to_k', 'attn.to_v'],
  'txt_attn.qkv': ['attn.add_q_proj', 'attn.add_k_proj', 'attn.add_v_proj'],
  'img_attn.norm.query_norm.scale': 'attn.norm_q.weight',
  'img_attn.norm.key_norm.scale': 'attn.norm_k.weight',
  'txt_attn.norm.query_norm.scale': 'attn.norm_added_q.weight',
  'txt_attn.norm.key_norm.scale': 'attn.norm_added_k.weight',
  'img_attn.proj': 'attn.to_out.0',
  'txt_attn.proj': 'attn.to_add_out',
  'img_mlp.0': 'ff.net.0.proj',
  'img_mlp.2': 'ff.net.2',
  'txt_mlp.0': 'ff_context.net.0.proj',
  'txt_mlp.2': 'ff_context.net.2',
};

/** A single block likewise: queries, keys and values are one matrix with the feed-forward's first layer. */
export const singleBlockKeys: Modules = {
  linear1: ['attn.to_q', 'attn.to_k', 'attn.to_v', 'proj_mlp'],
  linear2: 'proj_out',
  'norm.query_norm.scale': 'attn.norm_q.weight',
  'norm.key_norm.scale': 'attn.norm_k.weight',
};

/**
 * FLUX.1 as Black Forest Labs publish it. Queries, keys and values are one matrix there, and the last modulation gives
 * shift before scale.
 */
export const fluxKeys: KeyLayout = {
  marker: 'img_in.weight',
  groups: [
    {
      theirs: '',
      ours: '',
      modules: {
        img_in: 'x_embedder',
        txt_in: 'context_embedder',
        'time_in.in_layer': 'time_text_embed.timestep_embedder.linear_1',
        'time_in.out_layer': 'time_text_embed.timestep_embedder.linear_2',
        'guidance_in.in_layer': 'time_text_embed.guidance_embedder.linear_1',
        'guidance_in.out_layer': 'time_text_embed.guidance_embedder.linear_2',
        'vector_in.in_layer': 'time_text_embed.text_embedder.linear_1',
        'vector_in.out_layer': 'time_text_embed.text_embedder.linear_2',
        'final_layer.adaLN_modulation.1': { swapped: 'norm_out.linear' },
        'final_layer.linear': 'proj_out',
      },
    },
    {
      theirs: 'double_blocks',
      ours: 'transformer_blocks',
      modules: { 'img_mod.lin': 'norm1.linear', 'txt_mod.lin': 'norm1_context.linear', ...doubleBlockKeys },
    },
    {
      theirs: 'single_blocks',
      ours: 'single_transformer_blocks',
      modules: { 'modulation.lin': 'norm.linear', ...singleBlockKeys },
    },
  ],
};
