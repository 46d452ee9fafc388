import type * as tf from '@tensorflow/tfjs-core';
import { conv3dFrame, type Frames } from '../../nn/conv3d';
import { tidy } from '../../nn/scope';
import type { Module } from './module';

export interface CausalOptions {
  /** What stands for the frames before the first: zeros by default, or copies of the first. */
  readonly fill?: 'zeros' | 'first' | undefined;
  /** How many of them; as many as keep the number of frames by default. */
  readonly lead?: number | undefined;
  /** Step in time. */
  readonly stride?: number | undefined;
  /** Norm and activation of a frame, made when the convolution comes to it and gone when its window has passed. */
  readonly prepare?: ((frame: tf.Tensor, index: number) => tf.Tensor) | undefined;
  /** What is done with a frame of the result. */
  readonly finish?: ((frame: tf.Tensor, index: number) => tf.Tensor) | undefined;
}

/**
 * A convolution that looks at the present and the past only. The module remembers the frames that later ones will
 * need, so that a video may come in pieces of any length and gives what it would give in one.
 * @param frames `[1, H, W, C]`, the next of the video
 * @returns a frame for each that came, fewer when `stride` is above 1
 */
export function causalConv(m: Module, frames: Frames, options: CausalOptions = {}): tf.Tensor[] {
  const { stride = 1, prepare = same, finish = same } = options;
  const size = m.tensor('weight').shape[0] as number;
  const results: tf.Tensor[] = [];
  for (const [index, frame] of frames.entries()) {
    const made = tidy(() => {
      const x = prepare(frame, index);
      if (m.past.fresh) {
        for (let i = options.lead ?? size - 1; i > 0; i--) m.past.push(options.fill === 'first' ? x : undefined);
      }
      m.past.push(x);
      return m.past.frames.length < size ? [] : [finish(conv3dFrame(m, m.past.frames), results.length)];
    });
    if (made.length > 0) m.past.drop(stride);
    results.push(...made);
  }
  return results;
}

const same = (frame: tf.Tensor): tf.Tensor => frame;
