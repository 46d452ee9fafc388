import type { Tensor } from '@tensorflow/tfjs-core';
import type { Image, Media } from '../media/pixels';
import type { PictureSize } from '../sampling/pipeline';

/** How a small model that paints pixels directly lays them out in its latent. */
export interface PixelFormat {
  /** Whether it draws pictures or clips. */
  readonly kind: 'image' | 'clip';
  /** Frames a second of a clip. */
  readonly fps?: number;
  /** The latent of one picture, without the batch axis. */
  readonly latentShape: readonly number[];
  /** Axis of the batched latent that holds channels. */
  readonly channelAxis: number;
  /** Picture tokens, on which a dynamic shift of the schedule depends. */
  readonly tokens: number;
  /**
   * What the model is conditioned on: text states `[B, T, E]` and their mean `[B, E]`.
   * @param states text states `[B, T, E]`
   * @param pooled their mean `[B, E]`
   * @returns what `Denoiser.prepare` takes; the tensors stay the caller's
   */
  condition(states: Tensor, pooled: Tensor): object;
  /**
   * Pixels of one final latent, row-major, clipped to 0 … 1.
   * @param latent values of one row
   * @returns the picture or clip
   */
  decode(latent: Float32Array): Media;
  /** Size of what it draws. */
  readonly size: PictureSize;
  /**
   * The reverse for models of pictures: a picture of the model's own size as one latent.
   * @param picture `[H, W, 3]`, values in [0, 1]
   * @returns values of one row
   */
  encode?(picture: Image): Float32Array;
}

/** Colours of a pixel. */
export const COLOURS = 3;

/** A value of a latent, -1 … 1, as a colour, 0 … 1. */
export const toUnit = (value: number): number => Math.min(1, Math.max(-1, value)) * 0.5 + 0.5;
