import { UnsupportedError } from '../errors';
import { families } from '../models/families';
import type { PixelFormat } from '../models/pixel-format';
import { LATENT_PIXELS } from '../models/workload';
import type { PictureSize } from '../sampling/pipeline';

/** The format of a pixel-space model, by its transformer's class. */
export function pixelFormat(modelClass: string, pipelineJson: unknown): PixelFormat {
  const known = families.find(family => family.className === modelClass);
  if (known?.pixels) return known.pixels(pipelineJson);
  throw new UnsupportedError(`There is no pixel-space pipeline for ${modelClass}.`);
}

/** The size at which a model with an autoencoder does the work of this pixel-space model. */
export function pixelDemand(modelClass: string, pipelineJson: unknown): PictureSize {
  const { kind, latentShape, tokens } = pixelFormat(modelClass, pipelineJson);
  if (kind === 'image') {
    const side = 2 * LATENT_PIXELS * Math.sqrt(tokens);
    return { height: side, width: side, frames: 1 };
  }
  const [, frames, height, width] = latentShape as [number, number, number, number];
  return { height: LATENT_PIXELS * height, width: LATENT_PIXELS * width, frames: 4 * (frames - 1) + 1 };
}
