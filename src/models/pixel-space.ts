import { UnsupportedError } from '../errors';
import type { Autoencoder } from './vae/autoencoder';

/** Latents that are pixels themselves, -1 … 1: what models without an autoencoder decode with. */
export const pixelSpace: Autoencoder = {
  compression: { time: 1, space: 1 },
  latentChannels: 3,
  tiling: { tile: [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY], stride: [1, 1] },
  latentShape: ({ frames, height, width }) => [3, frames, height, width],
  clipFrames: frames => frames,
  denormalise: latents => latents.clone(),
  normalise: z => z.clone(),
  decode: async z => z.clone(),
  async encode() {
    throw new UnsupportedError('Pixels need no encoder.');
  },
};
