import * as tf from '@tensorflow/tfjs-core';
import { UsageError } from '../errors';

/**
 * Calls a function that somebody else wrote, and sorts out whose tensors are whose. The sample goes in as a handle of
 * its own, so that a function may return it. What a synchronous function makes and does not return is cleared away;
 * one that returns a promise must clear up after itself. A tensor that was there before the call is never disposed.
 * @returns a new tensor, the caller's
 * @throws UsageError when the function returns anything but a tensor
 */
export async function callOwned(
  sample: tf.Tensor,
  work: (sample: tf.Tensor) => tf.Tensor | Promise<tf.Tensor>,
): Promise<tf.Tensor> {
  const given = sample.clone();
  try {
    const result = await inScope(() => work(given));
    if (!(result instanceof tf.Tensor)) {
      throw new UsageError(`A velocity function returned ${described(result)} in place of a tensor.`, {
        hint: 'Return one tensor of the shape of the latent; of several outputs, return the first.',
      });
    }
    // Tensors are numbered as they are made: one that is not newer than the handle was not made by this call.
    return result.id <= given.id ? result.clone() : result;
  } finally {
    given.dispose();
  }
}

/** Like `tf.tidy`, but a promise may come out: then everything made so far stays. */
function inScope<T>(work: () => T): T {
  const engine = tf.engine();
  engine.startScope();
  let kept: tf.Tensor[] = [];
  try {
    const result = work();
    if (result instanceof tf.Tensor) kept = [result];
    else if (isPromise(result)) kept = [...(engine.state.activeScope?.track ?? [])];
    return result;
  } finally {
    engine.endScope(kept);
  }
}

const isPromise = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

const described = (value: unknown): string => (Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`);

/**
 * Copies of all tensors in nested arrays and plain objects; anything else, such as a model, is passed on as it is and
 * never looked into.
 */
export function copied<T>(value: T): { readonly value: T; readonly tensors: readonly tf.Tensor[] } {
  const tensors: tf.Tensor[] = [];
  const copy = (item: unknown): unknown => {
    if (item instanceof tf.Tensor) {
      tensors.push(item.clone());
      return tensors.at(-1);
    }
    if (Array.isArray(item)) return item.map(copy);
    if (typeof item === 'object' && item !== null && Object.getPrototypeOf(item) === Object.prototype) {
      return Object.fromEntries(Object.entries(item).map(([key, inner]) => [key, copy(inner)]));
    }
    return item;
  };
  return { value: copy(value) as T, tensors };
}
