import * as tf from '@tensorflow/tfjs-core';
import { ShapeError } from '../../errors';
import { nextTurn } from '../../io/turn';
import type { Frames } from '../../nn/conv3d';
import { release, tidy } from '../../nn/scope';
import type { WeightStore } from '../../weights/parameters';
import type { Autoencoder, ClipSize, Codec, CodeOptions, DecodeOptions, Posterior } from './autoencoder';
import { fromFrames, toFrames } from './frames';
import { type Module, network } from './module';
import { decodeTiles, needsTiles, type Tiling, tileStarts } from './tiling';

/** The autoencoder that a codec and its weights make. The weights stay the caller's. */
export function autoencoder(codec: Codec, weights: WeightStore): Autoencoder {
  const { compression, latentChannels, pixelChannels, tiling } = codec;
  const params = weights.resident;

  /** A clip through the network, with a memory of its own; both tensors are `[C, T, H, W]`. */
  async function through(
    clip: tf.Tensor,
    row: number,
    options: CodeOptions,
    report: (frames: number) => Promise<void>,
    chunks: (m: Module, frames: Frames) => Iterable<tf.Tensor[]>,
  ): Promise<tf.Tensor> {
    const m = network(params, options.watch && ((name, seen) => options.watch?.(name, seen, row)));
    const frames = toFrames(clip);
    const parts: tf.Tensor[] = [];
    try {
      for (const chunk of chunks(m, frames)) {
        parts.push(fromFrames(chunk));
        release(chunk);
        await report(chunk.length);
      }
      return tf.concat(parts, 1);
    } finally {
      m.forget();
      release([frames, parts]);
    }
  }

  return {
    compression,
    latentChannels,
    tiling,
    clipFrames: codec.clipFrames,
    latentShape: clip => latentShape(codec, clip),
    denormalise: latents => tidy(() => codec.denormalise(latents, params)),
    normalise: z => tidy(() => codec.normalise(z, params)),

    async decode(z, options = {}) {
      const [batch, , latentFrames, height, width] = videoShape(codec, z, latentChannels);
      const frames = options.frames ?? codec.clipFrames(latentFrames);
      checkLength(codec, frames, latentFrames);
      const cut = tilingOf(options, tiling, height, width);
      const tiles = cut ? tileStarts(height, cut.stride[0]).length * tileStarts(width, cut.stride[1]).length : 1;
      const report = reporter(options, batch * tiles * frames);
      const pixels = await eachRow(z, (latent, row) => {
        const decode = (part: tf.Tensor): Promise<tf.Tensor> =>
          through(part, row, options, report, (m, list) => codec.decode(m, list, frames));
        return cut ? decodeTiles(latent, cut, compression.space, decode) : decode(latent);
      });
      return codec.finish ? replaced(pixels, codec.finish) : pixels;
    },

    async encode(pixels, options = {}) {
      const [batch, , frames] = videoShape(codec, pixels, pixelChannels);
      const report = reporter(options, batch * codec.latentFrames(frames));
      const moments = await eachRow(pixels, (clip, row) =>
        through(clip, row, options, report, (m, list) => codec.encode(m, list)),
      );
      try {
        return tidy(() => {
          const [mean, logvar] = tf.split(moments, 2, 1) as [tf.Tensor, tf.Tensor];
          return { mean, logvar: tf.clipByValue(logvar, -30, 20) };
        });
      } finally {
        moments.dispose();
      }
    },
  };
}

/** A draw from a posterior: `mean + exp(logvar / 2) · noise`, the noise of the mean's shape. */
export function drawn({ mean, logvar }: Posterior, noise: tf.Tensor): tf.Tensor {
  return tidy(() => tf.add(mean, tf.mul(tf.exp(tf.mul(logvar, 0.5)), noise)));
}

type VideoShape = [batch: number, channels: number, frames: number, height: number, width: number];

/** The shape of a tensor at the border, where an image counts as a clip of one frame. */
function videoShape({ name, images }: Codec, t: tf.Tensor, channels: number): VideoShape {
  const shape = images && t.rank === 4 ? [...t.shape.slice(0, 2), 1, ...t.shape.slice(2)] : t.shape;
  if (shape.length === 5 && shape[1] === channels && t.size > 0) return shape as VideoShape;
  const wanted = images ? `[B, ${channels}, H, W] or [B, ${channels}, T, H, W]` : `[B, ${channels}, T, H, W]`;
  throw new ShapeError(`${name} takes ${wanted} here; [${t.shape.join(', ')}] was given.`);
}

/** `work` on every row of a batch, as `[C, T, H, W]`; the results, of the same form, as a batch of the same rank. */
async function eachRow(
  batch: tf.Tensor,
  work: (row: tf.Tensor, index: number) => Promise<tf.Tensor>,
): Promise<tf.Tensor> {
  const [count, channels, ...axes] = batch.shape as [number, number, ...number[]];
  const image = axes.length === 2;
  const results: tf.Tensor[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const row = tidy(() => {
        const begin = [i, ...batch.shape.slice(1).fill(0)];
        const one = tf.slice(batch, begin, [1, ...batch.shape.slice(1)]);
        return tf.reshape(one, image ? [channels, 1, ...axes] : [channels, ...axes]);
      });
      try {
        results.push(await work(row, i));
      } finally {
        row.dispose();
      }
    }
    return tidy(() => {
      const stacked = tf.stack(results);
      const [b, c, , ...size] = stacked.shape as [number, number, number, ...number[]];
      return image ? tf.reshape(stacked, [b, c, ...size]) : stacked;
    });
  } finally {
    release(results);
  }
}

function replaced(t: tf.Tensor, change: (t: tf.Tensor) => tf.Tensor): tf.Tensor {
  try {
    return tidy(() => change(t));
  } finally {
    t.dispose();
  }
}

/** Counts frames, tells the caller, gives the event loop a turn, and stops when the caller asks for it. */
function reporter({ onChunk, signal }: CodeOptions, total: number): (frames: number) => Promise<void> {
  let done = 0;
  return async frames => {
    done += frames;
    await onChunk?.({ done, total });
    await nextTurn(signal);
  };
}

function tilingOf({ tiling }: DecodeOptions, usual: Tiling, height: number, width: number): Tiling | undefined {
  if (!tiling) return undefined;
  const asked = tiling === true ? usual : tiling;
  for (const axis of [0, 1] as const) {
    const [tile, stride] = [asked.tile[axis], asked.stride[axis]];
    if (Number.isInteger(tile) && Number.isInteger(stride) && stride >= 1 && stride <= tile) continue;
    throw new ShapeError(`Tiles of ${tile} every ${stride} rows or columns of the latent cannot cover it.`, {
      hint: 'Both are whole numbers, the step from 1 to the size of a tile.',
    });
  }
  return needsTiles(asked, height, width) ? asked : undefined;
}

function checkLength({ name, latentFrames }: Codec, frames: number, given: number): void {
  if (Number.isInteger(frames) && frames > 0 && latentFrames(frames) === given) return;
  throw new ShapeError(`${name}: a latent of ${given} frames does not decode to ${frames} frames.`);
}

function latentShape(codec: Codec, { frames, height, width }: ClipSize): [number, number, number, number] {
  const { space } = codec.compression;
  if (height % space !== 0 || width % space !== 0) {
    throw new ShapeError(`${codec.name} works on multiples of ${space} pixels; ${width} × ${height} was asked for.`);
  }
  const latentFrames = codec.latentFrames(frames);
  if (!codec.anyLength && codec.clipFrames(latentFrames) !== frames) {
    throw new ShapeError(`${codec.name} makes no clip of ${frames} frames.`, {
      hint: `Ask for ${codec.clipFrames(latentFrames)} or ${codec.clipFrames(latentFrames + 1)} frames.`,
    });
  }
  return [codec.latentChannels, latentFrames, height / space, width / space];
}
