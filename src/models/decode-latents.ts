import * as tf from '@tensorflow/tfjs-core';
import { clip, image, type Media } from '../media/pixels';
import type { DecodeOptions } from '../sampling/pipeline';
import type { PipelineParts } from './pipeline-parts';

/**
 * Pixels of final latents.
 * @param latents in the autoencoder's layout; they stay the caller's
 * @param frames of each clip, where the latent's do not say
 */
export async function decodeLatents(
  parts: PipelineParts,
  latents: tf.Tensor,
  { onProgress, signal }: DecodeOptions = {},
  frames?: number,
): Promise<Media[]> {
  const autoencoder = await parts.autoencoder();
  const z = autoencoder.denormalise(latents);
  parts.watch('vae_input', z);
  const decoded = await autoencoder
    .decode(z, {
      tiling: parts.tiling ?? false,
      ...(frames !== undefined && { frames }),
      ...(parts.watchDecoder && { watch: parts.watchDecoder }),
      ...(onProgress && { onChunk: ({ done, total }) => onProgress(done, total) }),
      ...(signal && { signal }),
    })
    .finally(() => z.dispose());
  parts.watch('decoded', decoded);
  return picturesOf(decoded).finally(() => decoded.dispose());
}

/** Pictures or clips of values from -1 to 1, `[B, 3, H, W]` or `[B, 3, F, H, W]`, which stay the caller's. */
export async function picturesOf(decoded: tf.Tensor): Promise<Media[]> {
  const pixels = tf.tidy(() => {
    const channelsLast = decoded.rank === 4 ? [0, 2, 3, 1] : [0, 2, 3, 4, 1];
    return tf.clipByValue(tf.add(tf.div(tf.transpose(decoded, channelsLast), 2), 0.5), 0, 1);
  });
  try {
    return mediaOf(await pixels.data<'float32'>(), pixels.shape);
  } finally {
    pixels.dispose();
  }
}

/** Rows of `[B, H, W, 3]` or `[B, F, H, W, 3]`. */
function mediaOf(values: Float32Array, [rows, ...shape]: number[]): Media[] {
  const size = values.length / (rows as number);
  return Array.from({ length: rows as number }, (_, row) => {
    const own = values.slice(row * size, (row + 1) * size);
    if (shape.length === 3) return image(own, shape[0] as number, shape[1] as number);
    return clip(own, shape[0] as number, shape[1] as number, shape[2] as number);
  });
}
