import { preset } from '../../src/models/presets';
import type { Demand } from '../../src/models/workload';

/** What is timed of one model at one size. */
export interface Case {
  readonly name: string;
  /** What the transformer's `config.json` says; only the blocks that are timed are in it. */
  readonly config: { readonly _class_name: string } & Readonly<Record<string, unknown>>;
  readonly demand: Demand;
  readonly batch?: number;
  /** Groups of blocks that are timed together, by what to call them; a group without blocks is the whole model. */
  readonly parts: Readonly<Record<string, readonly string[]>>;
}

const wan = { ...preset('wan2.1-t2v-1.3b').transformer, num_layers: 1 };
const fluentEmoji = {
  _class_name: 'FluxTransformer2DModel',
  num_layers: 2,
  num_single_layers: 4,
  num_attention_heads: 6,
  attention_head_dim: 32,
  in_channels: 48,
  joint_attention_dim: 128,
  pooled_projection_dim: 128,
  guidance_embeds: false,
  axes_dims_rope: [8, 12, 12],
};
const block = { block: ['blocks.0'] };

export const cases: readonly Case[] = [
  { name: 'wan-1k', config: wan, demand: { height: 512, width: 512, frames: 1 }, parts: block },
  { name: 'wan-4k', config: wan, demand: { height: 512, width: 512, frames: 13 }, parts: block },
  {
    name: 'flux',
    config: { ...preset('flux-dev').transformer, num_layers: 1, num_single_layers: 1 },
    demand: { height: 512, width: 512 },
    parts: { 'double block': ['transformer_blocks.0'], 'single block': ['single_transformer_blocks.0'] },
  },
  {
    name: 'cogvideox',
    config: { ...preset('cogvideox-2b').transformer, num_layers: 1 },
    demand: { height: 480, width: 720, frames: 9 },
    parts: { block: ['transformer_blocks.0'] },
  },
  {
    name: 'open-sora',
    config: { ...preset('opensora-1.2').transformer, depth: 1 },
    demand: { height: 240, width: 424, frames: 51 },
    parts: { 'block pair': ['spatial_blocks.0', 'temporal_blocks.0'] },
  },
  {
    name: 'minit2i',
    config: { ...preset('minit2i-b-16').transformer, depth_double: 2 },
    demand: {},
    parts: { block: ['model.net.double_blocks.0'] },
  },
  { name: 'minit2i-whole', config: preset('minit2i-b-16').transformer, demand: {}, parts: { forward: [] } },
  // The blocks of the picture model that comes with ertacache, at patches of 4 × 4; two rows for guidance, as it is sampled.
  {
    name: 'fluent-emoji',
    config: fluentEmoji,
    demand: { height: 128, width: 128, textTokens: 8 },
    batch: 2,
    parts: { forward: [] },
  },
];
