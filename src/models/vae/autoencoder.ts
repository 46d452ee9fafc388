import type * as tf from '@tensorflow/tfjs-core';
import type { z } from 'zod';
import type { Frames } from '../../nn/conv3d';
import type { Params } from '../../nn/params';
import type { KeyLayout } from '../../weights/key-layout';
import type { ParameterTable, WeightStore } from '../../weights/parameters';
import type { Module } from './module';
import type { Tiling } from './tiling';

/** Size of a clip in frames, rows and columns; an image is a clip of one frame. */
export interface ClipSize {
  readonly frames: number;
  readonly height: number;
  readonly width: number;
}

/** What a run says of itself after every chunk. */
export interface ChunkProgress {
  /** Frames that are finished, those of every tile counted. */
  readonly done: number;
  readonly total: number;
}

export interface CodeOptions {
  /** Called after every chunk; a promise is awaited, so that a display can be drawn. */
  readonly onChunk?: ((progress: ChunkProgress) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Sees every named result inside the network; `row` is the row of the batch. */
  readonly watch?: ((name: string, frames: Frames, row: number) => void) | undefined;
}

export interface DecodeOptions extends CodeOptions {
  /** Cut a latent that is larger than one tile into tiles: in the model's usual way, or in the way given. */
  readonly tiling?: boolean | Tiling | undefined;
  /** Frames of the clip, where the latent's do not fix them (Open-Sora); as many as there can be by default. */
  readonly frames?: number | undefined;
}

/** The normal distribution that an encoder gives, mean and logarithm of the variance, both `[B, C, T, h, w]`. */
export interface Posterior {
  readonly mean: tf.Tensor;
  /** Clamped to -30 … 20. */
  readonly logvar: tf.Tensor;
}

/**
 * Between pixels in -1 … 1 and the latents that a diffusion model works on.
 *
 * Tensors at this border are `[B, C, T, H, W]`, in PyTorch's order; an autoencoder of images takes `[B, C, H, W]`
 * as well and then returns that. Every tensor returned belongs to the caller, who also keeps those given.
 * Rows of a batch are worked on one after another, as are tiles and chunks of frames: memory grows with one of them.
 */
export interface Autoencoder {
  /** Frames and pixels to one of the latent, along each axis. */
  readonly compression: { readonly time: number; readonly space: number };
  readonly latentChannels: number;
  /** How a large latent is usually cut into tiles. */
  readonly tiling: Tiling;
  /** Shape of the latent of a clip, `[C, T, h, w]`. */
  latentShape(clip: ClipSize): [channels: number, frames: number, height: number, width: number];
  /** Frames of the clip that a latent of so many frames decodes to, when `DecodeOptions.frames` says nothing. */
  clipFrames(latentFrames: number): number;
  /** What the diffusion model leaves → what `decode` takes. */
  denormalise(latents: tf.Tensor): tf.Tensor;
  /** What `encode` gives → what the diffusion model starts from. */
  normalise(z: tf.Tensor): tf.Tensor;
  /** Latents, denormalised, to pixels of about -1 … 1; only Wan's are clamped to that. */
  decode(z: tf.Tensor, options?: DecodeOptions): Promise<tf.Tensor>;
  encode(pixels: tf.Tensor, options?: CodeOptions): Promise<Posterior>;
}

/** What one model adds to the border, the batch, the tiles and the progress that all of them share. */
export interface Codec {
  readonly name: string;
  readonly compression: { readonly time: number; readonly space: number };
  readonly latentChannels: number;
  readonly pixelChannels: number;
  readonly tiling: Tiling;
  /** Takes and gives images without an axis of time as well. */
  readonly images: boolean;
  /** A latent may decode to fewer frames than it can, so that clips of every length can be made. */
  readonly anyLength: boolean;
  latentFrames(frames: number): number;
  clipFrames(latentFrames: number): number;
  denormalise(latents: tf.Tensor, p: Params): tf.Tensor;
  normalise(z: tf.Tensor, p: Params): tf.Tensor;
  /**
   * Chunk by chunk, the frames `[1, H, W, 3]` of a latent's frames `[1, h, w, C]`. Frames yielded are the receiver's;
   * those given stay his. Nothing is left undisposed between two chunks except what `m` remembers.
   */
  decode(m: Module, z: Frames, frames: number): Iterable<tf.Tensor[]>;
  /** Chunk by chunk, the moments `[1, h, w, 2C]` of a clip's frames; ownership as with `decode`. */
  encode(m: Module, pixels: Frames): Iterable<tf.Tensor[]>;
  /** Last touch on whole frames, after tiles have been joined. */
  finish?(pixels: tf.Tensor): tf.Tensor;
}

/** What ertacache knows of one class of autoencoder. */
export interface AutoencoderClass<Config = unknown> {
  /** Accepts the hub's `config.json`. */
  readonly schema: z.ZodType<Config>;
  parameters(config: Config): ParameterTable;
  /** The authors' own names of the parameters, where checkpoints in that layout exist. */
  keys?(config: Config): KeyLayout;
  create(config: Config, weights: WeightStore): Autoencoder;
}

/** An autoencoder for a family's list, the type of its configuration forgotten. */
export function autoencoderClass<Config>(known: AutoencoderClass<Config>): AutoencoderClass {
  return known as unknown as AutoencoderClass;
}
