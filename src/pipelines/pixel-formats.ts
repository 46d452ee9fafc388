import type { Tensor } from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { UnsupportedError } from '../errors';
import { parseConfig } from '../io/parse-config';
import { clip, dense, type Image, image, type Media } from '../media/pixels';
import { resized } from '../media/resize';

/** How a small model that paints pixels directly lays them out in its latent. */
export interface PixelFormat {
  readonly kind: 'image' | 'clip';
  /** Frames a second of a clip. */
  readonly fps?: number;
  /** The latent of one picture, without the batch axis. */
  readonly latentShape: readonly number[];
  /** Axis of the batched latent that holds channels. */
  readonly channelAxis: number;
  /** Picture tokens, on which a dynamic shift of the schedule depends. */
  readonly tokens: number;
  /** What the model is conditioned on: text states `[B, T, E]` and their mean `[B, E]`. */
  condition(states: Tensor, pooled: Tensor): object;
  /** Pixels of one final latent, row-major. */
  decode(latent: Float32Array): Media;
  /** The reverse for models of pictures: a picture of any size, brought to the model's, as one latent. */
  encode?(picture: Image): Promise<Float32Array>;
}

const COLOURS = 3;
const MS_PER_SECOND = 1000;

const toUnit = (value: number): number => Math.min(1, Math.max(-1, value)) * 0.5 + 0.5;

const tokenImageConfig = z.object({
  patch: z.int().positive(),
  grid: z.int().positive(),
  channels_per_token: z.int().positive(),
});

/** FLUX in pixel space: a token is a patch of pixels in reading order, colour last. */
function tokenImage(json: unknown): PixelFormat {
  const { patch, grid, channels_per_token: channels } = parseConfig(tokenImageConfig, json, 'pipeline.json');
  const [tokens, size] = [grid * grid, grid * patch];
  const imgIds = Array.from({ length: tokens }, (_, n) => [0, Math.floor(n / grid), n % grid]);
  /** Where the first colour of a pixel lies in a latent. */
  const place = (x: number, y: number): number =>
    (Math.floor(y / patch) * grid + Math.floor(x / patch)) * channels + ((y % patch) * patch + (x % patch)) * COLOURS;
  return {
    kind: 'image',
    latentShape: [tokens, channels],
    channelAxis: 2,
    tokens,
    condition: (encoderHiddenStates, pooledProjections) => ({ encoderHiddenStates, pooledProjections, imgIds }),
    decode(latent) {
      const pixels = new Float32Array(size * size * COLOURS);
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const at = place(x, y);
          for (let c = 0; c < COLOURS; c++) pixels[(y * size + x) * COLOURS + c] = toUnit(latent[at + c] as number);
        }
      }
      return image(pixels, size, size);
    },
    async encode(picture) {
      const pixels = dense(await resized(picture, size, size));
      const latent = new Float32Array(tokens * channels);
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const at = place(x, y);
          for (let c = 0; c < COLOURS; c++) latent[at + c] = 2 * (pixels[(y * size + x) * COLOURS + c] as number) - 1;
        }
      }
      return latent;
    },
  };
}

const pixelClipConfig = z.object({
  latent_shape: z.tuple([z.literal(COLOURS), z.int().positive(), z.int().positive(), z.int().positive()]),
  video_tokens: z.int().positive(),
  frame_duration_ms: z.number().positive(),
});

/** Wan in pixel space: the latent is the clip itself, `[colour, frame, row, column]`. */
function pixelClip(json: unknown): PixelFormat {
  const config = parseConfig(pixelClipConfig, json, 'pipeline.json');
  const [, frames, height, width] = config.latent_shape;
  const plane = height * width;
  return {
    kind: 'clip',
    fps: MS_PER_SECOND / config.frame_duration_ms,
    latentShape: config.latent_shape,
    channelAxis: 1,
    tokens: config.video_tokens,
    condition: encoderHiddenStates => ({ encoderHiddenStates }),
    decode(latent) {
      const pixels = new Float32Array(latent.length);
      for (let f = 0; f < frames; f++) {
        for (let i = 0; i < plane; i++) {
          for (let c = 0; c < COLOURS; c++) {
            pixels[(f * plane + i) * COLOURS + c] = toUnit(latent[(c * frames + f) * plane + i] as number);
          }
        }
      }
      return clip(pixels, frames, height, width);
    },
  };
}

/** The format of a pixel-space model, by its transformer's class. */
export function pixelFormat(modelClass: string, pipelineJson: unknown): PixelFormat {
  switch (modelClass) {
    case 'FluxTransformer2DModel':
      return tokenImage(pipelineJson);
    case 'WanTransformer3DModel':
      return pixelClip(pipelineJson);
    default:
      throw new UnsupportedError(`There is no pixel-space pipeline for ${modelClass}.`);
  }
}

/** Pixels to a side of a latent's square in models with an autoencoder, by which sizes of work are told. */
const LATENT_PIXELS = 8;

/** The size at which a model with an autoencoder does the work of this pixel-space model. */
export function pixelDemand(
  modelClass: string,
  pipelineJson: unknown,
): { height: number; width: number; frames: number } {
  const { kind, latentShape, tokens } = pixelFormat(modelClass, pipelineJson);
  if (kind === 'image') {
    const side = 2 * LATENT_PIXELS * Math.sqrt(tokens);
    return { height: side, width: side, frames: 1 };
  }
  const [, frames, height, width] = latentShape as [number, number, number, number];
  return { height: LATENT_PIXELS * height, width: LATENT_PIXELS * width, frames: 4 * (frames - 1) + 1 };
}
