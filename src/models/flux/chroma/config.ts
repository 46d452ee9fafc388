import { z } from 'zod';
import { count, MOST } from '../../../io/counts';
import { knowing } from '../../../io/known-fields';

export const chromaConfig = knowing(
  z
    .object({
      _class_name: z.literal('ChromaTransformer2DModel'),
      patch_size: z.literal(1).default(1),
      in_channels: count(MOST.channels).default(64),
      out_channels: count(MOST.channels).nullish(),
      num_layers: count(MOST.layers).default(19),
      num_single_layers: count(MOST.layers, 0).default(38),
      attention_head_dim: count(MOST.channels).multipleOf(2).default(128),
      num_attention_heads: count(MOST.heads).default(24),
      joint_attention_dim: count(MOST.channels).default(4096),
      axes_dims_rope: z.array(count(MOST.channels).multipleOf(2)).length(3).default([16, 56, 56]),
      approximator_num_channels: count(MOST.channels).multipleOf(8).default(64),
      approximator_hidden_dim: count(MOST.channels).default(5120),
      approximator_layers: count(MOST.layers, 0).default(5),
    })
    .refine(c => c.axes_dims_rope.reduce((a, b) => a + b, 0) === c.attention_head_dim, {
      error: 'axes_dims_rope must add up to attention_head_dim',
    }),
  // Left over from FLUX in the published file.
  { fixed: { guidance_embeds: [false] }, idle: ['pooled_projection_dim'] },
);

export type ChromaConfig = z.infer<typeof chromaConfig>;
