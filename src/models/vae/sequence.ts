import type * as tf from '@tensorflow/tfjs-core';
import { release, tidy } from '../../nn/scope';

/**
 * Layers one after another, each in its own scope; the input of a layer goes as soon as its output is there, so
 * that no more than two results are held. The first input stays the caller's. A layer may return what it was given.
 */
export function sequence<T extends tf.Tensor | readonly tf.Tensor[]>(input: T, layers: readonly ((x: T) => T)[]): T {
  let x = input;
  for (const layer of layers) {
    const next = tidy(() => layer(x));
    const [held, spare] = [new Set([...tensors(input), ...tensors(next)]), tensors(x)];
    release(spare.filter(tensor => !held.has(tensor)));
    x = next;
  }
  return x;
}

function tensors(x: tf.Tensor | readonly tf.Tensor[]): readonly tf.Tensor[] {
  return Array.isArray(x) ? (x as readonly tf.Tensor[]) : [x as tf.Tensor];
}
