import { UsageError } from '../errors';
import { parseConfig } from '../io/parse-config';
import type { CogVideoXConfig } from './cogvideox/transformer';
import { modelClass } from './families';
import type { FluxConfig } from './flux/transformer';
import type { OpenSoraConfig } from './open-sora/transformer';
import type { WanConfig } from './wan/transformer';

/** What is drawn: pixels and frames, 1 frame for an image. */
export interface Size {
  readonly height: number;
  readonly width: number;
  readonly frames: number;
}

/** What a run is asked for; what is left out is as usual for the model. */
export interface Demand extends Partial<Size> {
  readonly textTokens?: number;
}

/** Products of queries with keys and of scores with values, `count` times. */
export interface AttentionWork {
  readonly count: number;
  readonly queries: number;
  readonly keys: number;
  /** Channels of all heads together. */
  readonly width: number;
}

/** What one forward pass at a size has to do, told from shapes alone. */
export interface Workload {
  readonly size: Size;
  /** The latent that the model takes, `[1, …]`. */
  readonly latent: readonly number[];
  /** Axis of the latent that holds its channels. */
  readonly channelAxis: number;
  /** Image or video tokens, and text tokens. */
  readonly tokens: number;
  readonly textTokens: number;
  /** Channels of a token, and the heads that they are parted into. */
  readonly width: number;
  readonly heads: number;
  /** How many rows meet the weight matrix of this name. */
  rows(parameter: string): number;
  /** What the block of this name attends to. */
  attention(block: string): readonly AttentionWork[];
}

/** The side of the autoencoders' squares that one latent pixel stands for; the same in all four systems. */
const LATENT_PIXELS = 8;
/** Text tokens that FLUX and Wan are used with. */
const TEXT_TOKENS = 512;

type Build = (config: never, size: Size, textTokens?: number) => Workload;

const builders: Readonly<Record<string, { usual: Size; build: Build }>> = {
  FluxTransformer2DModel: { usual: { height: 1024, width: 1024, frames: 1 }, build: flux },
  WanTransformer3DModel: { usual: { height: 480, width: 832, frames: 81 }, build: wan },
  CogVideoXTransformer3DModel: { usual: { height: 480, width: 720, frames: 49 }, build: cogVideoX },
  STDiT3: { usual: { height: 480, width: 848, frames: 51 }, build: openSora },
};

/**
 * The work of a model of this class and configuration.
 * @throws UsageError when the model cannot draw that size
 */
export function workload(className: string, config: unknown, demand: Demand = {}): Workload {
  const parsed = parseConfig(modelClass(className).schema, config, `The configuration of ${className}`);
  const { usual, build } = builders[className]!;
  const { height = usual.height, width = usual.width, frames = usual.frames, textTokens } = demand;
  return build(parsed as never, { height, width, frames }, textTokens);
}

/** The first of the patterns that a name matches tells its rows. */
function byName(rules: readonly (readonly [RegExp, number])[], otherwise: number): (name: string) => number {
  return name => rules.find(([pattern]) => pattern.test(name))?.[1] ?? otherwise;
}

function requireMultiple({ height, width }: Size, of: readonly [number, number], model: string): void {
  if (height > 0 && width > 0 && height % of[0] === 0 && width % of[1] === 0) return;
  const near = (value: number, step: number): number => Math.max(1, Math.round(value / step)) * step;
  const steps = of[0] === of[1] ? `${of[0]}` : `${of[0]} by ${of[1]}`;
  throw new UsageError(`${model} draws multiples of ${steps} pixels; ${height}x${width} was asked for.`, {
    hint: `Take ${near(height, of[0])}x${near(width, of[1])}.`,
  });
}

/** Latent frames where the first frame stands alone and every further one for `ratio` frames. */
function latentFrames({ frames }: Size, ratio: number, model: string): number {
  if (frames > 0 && (frames - 1) % ratio === 0) return (frames - 1) / ratio + 1;
  const near = Math.max(0, Math.round((frames - 1) / ratio)) * ratio + 1;
  throw new UsageError(`${model} draws 1 + a multiple of ${ratio} frames; ${frames} were asked for.`, {
    hint: `Take ${near} frames.`,
  });
}

function flux(c: FluxConfig, size: Size, textTokens = TEXT_TOKENS): Workload {
  requireMultiple(size, [2 * LATENT_PIXELS, 2 * LATENT_PIXELS], 'FLUX');
  if (size.frames !== 1) throw new UsageError(`FLUX draws images, not ${size.frames} frames.`);
  const tokens = (size.height * size.width) / (2 * LATENT_PIXELS) ** 2;
  const both = tokens + textTokens;
  const width = c.num_attention_heads * c.attention_head_dim;
  return {
    size,
    latent: [1, tokens, c.in_channels],
    channelAxis: 2,
    tokens,
    textTokens,
    width,
    heads: c.num_attention_heads,
    rows: byName(
      [
        [/^time_text_embed\.|\.norm1?(_context)?\.linear\.|^norm_out\./, 1],
        [/^context_embedder\.|\.add_[qkv]_proj\.|\.to_add_out\.|\.ff_context\./, textTokens],
        [/^single_transformer_blocks\./, both],
      ],
      tokens,
    ),
    attention: () => [{ count: 1, queries: both, keys: both, width }],
  };
}

function wan(c: WanConfig, size: Size, textTokens = TEXT_TOKENS): Workload {
  const [pt, ph, pw] = c.patch_size;
  requireMultiple(size, [ph * LATENT_PIXELS, pw * LATENT_PIXELS], 'Wan');
  const frames = latentFrames(size, 4, 'Wan');
  const [height, columns] = [size.height / LATENT_PIXELS, size.width / LATENT_PIXELS];
  const tokens = (frames / pt) * (height / ph) * (columns / pw);
  const width = c.num_attention_heads * c.attention_head_dim;
  return {
    size,
    latent: [1, c.in_channels, frames, height, columns],
    channelAxis: 1,
    tokens,
    textTokens,
    width,
    heads: c.num_attention_heads,
    rows: byName(
      [
        [/\.time_embedder\.|\.time_proj\./, 1],
        [/\.text_embedder\.|\.attn2\.to_[kv]\./, textTokens],
      ],
      tokens,
    ),
    attention: () => [
      { count: 1, queries: tokens, keys: tokens, width },
      { count: 1, queries: tokens, keys: textTokens, width },
    ],
  };
}

function cogVideoX(c: CogVideoXConfig, size: Size, textTokens = c.max_text_seq_length): Workload {
  requireMultiple(size, [c.patch_size * LATENT_PIXELS, c.patch_size * LATENT_PIXELS], 'CogVideoX');
  const frames = latentFrames(size, c.temporal_compression_ratio, 'CogVideoX');
  const [height, columns] = [size.height / LATENT_PIXELS, size.width / LATENT_PIXELS];
  const tokens = frames * (height / c.patch_size) * (columns / c.patch_size);
  const both = tokens + textTokens;
  const width = c.num_attention_heads * c.attention_head_dim;
  return {
    size,
    latent: [1, frames, c.in_channels, height, columns],
    channelAxis: 2,
    tokens,
    textTokens,
    width,
    heads: c.num_attention_heads,
    rows: byName(
      [
        [/^time_embedding\.|\.norm[12]\.linear\.|^norm_out\./, 1],
        [/\.text_proj\./, textTokens],
        [/^patch_embed\.|^proj_out\./, tokens],
      ],
      both,
    ),
    attention: () => [{ count: 1, queries: both, keys: both, width }],
  };
}

function openSora(c: OpenSoraConfig, size: Size, textTokens = c.model_max_length): Workload {
  requireMultiple(size, [LATENT_PIXELS, LATENT_PIXELS], 'Open-Sora');
  if (size.frames !== 1 && size.frames < 17) {
    throw new UsageError(`Open-Sora draws 1 frame, or at least 17; ${size.frames} were asked for.`);
  }
  // Its autoencoder takes 17 frames at a time and makes 5 of them.
  const frames = size.frames === 1 ? 1 : Math.floor(size.frames / 17) * 5 + Math.ceil((size.frames % 17) / 4);
  const latent = [frames, size.height / LATENT_PIXELS, size.width / LATENT_PIXELS];
  const [times, rows, columns] = latent.map((count, i) => Math.ceil(count / c.patch_size[i]!)) as [
    number,
    number,
    number,
  ];
  const places = rows * columns;
  const tokens = times * places;
  const width = c.hidden_size;
  return {
    size,
    latent: [1, c.in_channels, ...latent],
    channelAxis: 1,
    tokens,
    textTokens,
    width,
    heads: c.num_heads,
    rows: byName(
      [
        [/^t_embedder\.|^fps_embedder\.|^t_block\./, 1],
        [/^y_embedder\.|\.kv_linear\./, textTokens],
      ],
      tokens,
    ),
    attention: block => [
      block.startsWith('spatial')
        ? { count: times, queries: places, keys: places, width }
        : { count: places, queries: times, keys: times, width },
      { count: 1, queries: tokens, keys: textTokens, width },
    ],
  };
}
