import { Tensor } from '@tensorflow/tfjs-core';
import { UsageError } from '../../errors';
import { wrongArgument } from '../../io/arguments';

/** @throws UsageError unless a value is a tensor that is still there */
export function requireTensor(name: string, value: unknown): void {
  if (!(value instanceof Tensor)) {
    throw wrongArgument(name, value, 'a tensor [B, …]', 'For noise: `tf.randomNormal([1, 32, 32, 4])`.');
  }
  if (!value.isDisposed) return;
  throw new UsageError(`The argument ${name} is a tensor that was disposed.`, { hint: 'Dispose it after the run.' });
}
