import { z } from 'zod';
import { count, MOST } from '../../io/counts';
import { knowing } from '../../io/known-fields';

/** The published models: where a configuration names no heads, its width tells them. */
const HEADS: Readonly<Record<number, readonly [heads: number, width: number]>> = { 768: [12, 64], 1248: [24, 52] };

const time = z.number().min(0).max(1);

export const miniT2IConfig = knowing(
  z
    .object({
      _class_name: z.literal('MiniT2IMMJiTModel'),
      image_size: count(MOST.pixels).default(512),
      patch_size: count(512).default(16),
      in_channels: z.literal(3, { error: 'only pictures of three colours are supported' }).default(3),
      hidden_size: count(MOST.channels).multipleOf(4).default(768),
      txt_hidden_size: count(MOST.channels).optional(),
      /** Width of what the time would be embedded to; nothing reads it. */
      cond_vec_size: count(MOST.channels).default(768),
      txt_input_size: count(MOST.channels).default(1024),
      depth_double: count(MOST.layers, 1).default(17),
      txt_preamble_depth: count(MOST.layers, 0).default(2),
      num_heads: count(MOST.heads).optional(),
      head_dim: count(MOST.channels).multipleOf(4).optional(),
      mlp_ratio: z
        .number()
        .positive()
        .max(1024)
        .default(8 / 3),
      pca_channels: count(MOST.channels).default(128),
      prompt_length: count(MOST.tokens, 1).default(256),
      /** Steps of a run where none are asked for. */
      n_T: count(MOST.steps).default(100),
      /** Guidance acts from the first to the second time, both included. 0 is noise, 1 the picture. */
      cfg_interval: z.tuple([time, time]).default([0, 1]),
      /** The repository of the text encoder. */
      llm: z.string().default('google/flan-t5-large'),
      prediction: z.literal('x', { error: 'only models that predict the picture are supported' }).default('x'),
      sampler: z.literal('euler', { error: 'only the Euler sampler is supported' }).default('euler'),
      /** The least that a prediction's distance is divided by. Not in published files. */
      velocity_floor: time.default(0.05),
      /** How strong the noise is that a run begins with. Not in published files. */
      noise_scale: z.number().positive().default(2),
    })
    .refine(c => c.image_size % c.patch_size === 0, {
      path: ['image_size'],
      error: 'is not a multiple of patch_size',
    })
    .refine(c => c.txt_hidden_size === undefined || c.txt_hidden_size === c.hidden_size, {
      path: ['txt_hidden_size'],
      error: 'differs from hidden_size, which is not supported',
    })
    .refine(c => headsOf(c) !== undefined, {
      path: ['num_heads'],
      error: 'num_heads and head_dim must be given, and make hidden_size together',
    }),
  { fixed: { cfg_channels: [3] } },
);

export type MiniT2IConfig = z.infer<typeof miniT2IConfig>;

function headsOf(c: {
  readonly hidden_size: number;
  readonly num_heads?: number | undefined;
  readonly head_dim?: number | undefined;
}): readonly [number, number] | undefined {
  const [heads, width] = [c.num_heads, c.head_dim];
  if (heads === undefined || width === undefined) return HEADS[c.hidden_size];
  return heads * width === c.hidden_size ? [heads, width] : undefined;
}

/** Number of heads, and channels of each. */
export function attentionHeads(c: MiniT2IConfig): readonly [count: number, width: number] {
  return headsOf(c) as readonly [number, number];
}

/** Width of the feed-forward layer: whole channels, rounded up to a multiple of eight. */
export function mlpWidth(c: MiniT2IConfig): number {
  return 8 * Math.ceil(Math.trunc(c.hidden_size * c.mlp_ratio) / 8);
}
