import { linear, type ParameterTable, plain, repeated, scoped, vector } from '../../weights/parameters';
import { attentionHeads, type MiniT2IConfig, mlpWidth } from './config';

/** Width of the embedding of a time, which nothing reads. */
export const TIME_WIDTH = 256;
/** What stands before every name in a checkpoint. */
export const ROOT = 'model.net';

/** Every parameter of a MiniT2I transformer, as its files name them. */
export function miniT2IParameters(c: MiniT2IConfig): ParameterTable {
  const { hidden_size: d, patch_size: p } = c;
  const headWidth = attentionHeads(c)[1];
  const headNorms = [vector('q_norm.weight', headWidth), vector('k_norm.weight', headWidth)];
  const mlp = (name: string): ParameterTable => [
    ...linear(`${name}.w1`, d, mlpWidth(c), false),
    ...linear(`${name}.w3`, d, mlpWidth(c), false),
    ...linear(`${name}.w2`, mlpWidth(c), d, false),
  ];
  /** The layers of one stream. */
  const stream = (prefix: string): ParameterTable => [
    vector(`${prefix}norm1.weight`, d),
    ...linear(`${prefix}qkv`, d, 3 * d),
    ...linear(`${prefix}attn_proj`, d, d),
    vector(`${prefix}norm2.weight`, d),
    ...mlp(`${prefix}mlp`),
  ];

  return scoped(ROOT, [
    plain('mask_token', [1, 1, c.txt_input_size]),
    ...linear('txt_embedder', c.txt_input_size, d, false),
    ...linear('t_embedder.mlp.0', TIME_WIDTH, c.cond_vec_size),
    ...linear('t_embedder.mlp.2', c.cond_vec_size, c.cond_vec_size),
    ...linear('pooled_embedder', c.txt_input_size, c.cond_vec_size, false),
    ...repeated('txt_preamble_blocks', c.txt_preamble_depth, () => [...stream(''), ...headNorms]),
    { name: 'img_embedder.proj1.weight', shape: [c.pca_channels, c.in_channels, p, p], layout: 'conv2d' },
    { name: 'img_embedder.proj2.weight', shape: [d, c.pca_channels, 1, 1], layout: 'conv2d' },
    vector('img_embedder.proj2.bias', d),
    ...repeated('double_blocks', c.depth_double, () => [...stream('img_'), ...stream('txt_'), ...headNorms]),
    vector('final_layer.norm_final.weight', d),
    ...linear('final_layer.linear', d, p * p * c.in_channels),
  ]);
}
