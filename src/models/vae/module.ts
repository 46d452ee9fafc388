import * as tf from '@tensorflow/tfjs-core';
import type { Frames } from '../../nn/conv3d';
import type { Params } from '../../nn/params';

/** Sees the result of a module by its name; the frames `[1, H, W, C]` are valid only during the call. */
export type Watch = (name: string, frames: Frames) => void;

/** The last frames that a causal convolution was given, oldest first; `undefined` is a frame of zeros. */
export interface Past {
  readonly frames: readonly (tf.Tensor | undefined)[];
  /** Nothing was ever remembered. */
  readonly fresh: boolean;
  /** Remembers a frame, which stays the caller's: a second handle is kept. */
  push(frame: tf.Tensor | undefined): void;
  /** Forgets the oldest frames. */
  drop(count: number): void;
}

/**
 * A part of a network while a video runs through it: its parameters, what it remembers of the frames before, and
 * who watches it.
 */
export interface Module extends Params {
  at(prefix: string): Module;
  readonly past: Past;
  /** Forgets what this module and everything in it remember. */
  forget(): void;
  /** Shows this module's result to whoever watches, and gives it back. */
  seen<T extends tf.Tensor | Frames>(result: T): T;
}

/** A network at the start of a video. Its owner calls `forget` at the end, whatever happens. */
export function network(params: Params, watch?: Watch): Module {
  return moduleOf(params, '', new Map(), watch);
}

type Memory = Map<string, (tf.Tensor | undefined)[]>;

function moduleOf(params: Params, name: string, memory: Memory, watch: Watch | undefined): Module {
  const inside = (part: string): string => (name === '' ? part : `${name}.${part}`);
  return {
    tensor: part => params.tensor(part),
    has: part => params.has(part),
    at: part => moduleOf(params.at(part), inside(part), memory, watch),
    past: pastOf(memory, name),
    forget() {
      for (const [key, frames] of memory) {
        if (name !== '' && key !== name && !key.startsWith(`${name}.`)) continue;
        for (const frame of frames) frame?.dispose();
        memory.delete(key);
      }
    },
    seen(result) {
      watch?.(name, result instanceof tf.Tensor ? [result] : result);
      return result;
    },
  };
}

function pastOf(memory: Memory, name: string): Past {
  return {
    get frames() {
      return memory.get(name) ?? [];
    },
    get fresh() {
      return !memory.has(name);
    },
    push(frame) {
      const frames = memory.get(name) ?? [];
      // Kept, so that the tidy in which the frame was made does not take it away.
      memory.set(name, [...frames, frame && tf.keep(frame.clone())]);
    },
    drop(count) {
      const frames = memory.get(name) ?? [];
      for (const frame of frames.slice(0, count)) frame?.dispose();
      memory.set(name, frames.slice(count));
    },
  };
}
