import { UnsupportedError } from '../../errors';
import type { KeyLayout } from '../../weights/key-layout';
import type { ModelConfig } from '../../weights/model-config';

/** Wan2.1 as its authors publish it. Norms are numbered there in the order of writing, not of use: theirs 3 is ours 2. */
export const wanKeys: KeyLayout = {
  marker: 'head.head.weight',
  groups: [
    {
      theirs: '',
      ours: '',
      modules: {
        patch_embedding: 'patch_embedding',
        'text_embedding.0': 'condition_embedder.text_embedder.linear_1',
        'text_embedding.2': 'condition_embedder.text_embedder.linear_2',
        'time_embedding.0': 'condition_embedder.time_embedder.linear_1',
        'time_embedding.2': 'condition_embedder.time_embedder.linear_2',
        'time_projection.1': 'condition_embedder.time_proj',
        'head.modulation': 'scale_shift_table',
        'head.head': 'proj_out',
      },
    },
    {
      theirs: 'blocks',
      ours: 'blocks',
      modules: {
        modulation: 'scale_shift_table',
        'self_attn.q': 'attn1.to_q',
        'self_attn.k': 'attn1.to_k',
        'self_attn.v': 'attn1.to_v',
        'self_attn.o': 'attn1.to_out.0',
        'self_attn.norm_q': 'attn1.norm_q',
        'self_attn.norm_k': 'attn1.norm_k',
        'cross_attn.q': 'attn2.to_q',
        'cross_attn.k': 'attn2.to_k',
        'cross_attn.v': 'attn2.to_v',
        'cross_attn.o': 'attn2.to_out.0',
        'cross_attn.norm_q': 'attn2.norm_q',
        'cross_attn.norm_k': 'attn2.norm_k',
        norm3: 'norm2',
        'ffn.0': 'ffn.net.0.proj',
        'ffn.2': 'ffn.net.2',
      },
    },
  ],
};

/** The configuration of the authors' own class, `WanModel`, as that of diffusers' class. */
export function wanConfigOf({ className, config }: ModelConfig): ModelConfig | undefined {
  if (className !== 'WanModel') return undefined;
  if ((config.model_type ?? 't2v') !== 't2v') {
    throw new UnsupportedError(`Wan models of the type ${JSON.stringify(config.model_type)} are not supported.`, {
      hint: 'Take a text-to-video model, "t2v".',
    });
  }
  const heads = Number(config.num_heads ?? 16);
  const given: Record<string, unknown> = {
    patch_size: config.patch_size,
    num_attention_heads: heads,
    attention_head_dim: Number(config.dim ?? 2048) / heads,
    in_channels: config.in_dim,
    out_channels: config.out_dim,
    text_dim: config.text_dim,
    freq_dim: config.freq_dim,
    ffn_dim: config.ffn_dim ?? 8192,
    num_layers: config.num_layers ?? 32,
    cross_attn_norm: config.cross_attn_norm,
    eps: config.eps,
  };
  const present = Object.entries(given).filter(([, value]) => value !== undefined);
  return {
    className: 'WanTransformer3DModel',
    config: { _class_name: 'WanTransformer3DModel', ...Object.fromEntries(present) },
  };
}
