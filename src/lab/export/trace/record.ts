import * as tf from '@tensorflow/tfjs-core';
import { EngineError, ErtaError, UnsupportedError } from '../../../errors';
import { registerKernels, unregisterKernels } from './kernels';
import { Recorder } from './recorder';
import type { TracedNode } from './types';

const NAME = 'ertacache-recorder';

/**
 * Runs every one of `works` on a backend that records in place of computing. All of it happens in one turn of
 * JavaScript: no other code of the process ever sees the backend, which is gone afterwards, as is every tensor that was
 * made.
 * @returns what each of them did
 * @throws UnsupportedError when one needs an operation that a graph of this kind cannot hold
 */
export function record(works: readonly ((recorder: Recorder) => void)[]): (readonly TracedNode[])[] {
  const before = tf.getBackend();
  const recorder = new Recorder();
  tf.registerBackend(NAME, () => recorder);
  registerKernels(NAME);
  try {
    switchTo(NAME);
    return works.map(work => {
      tf.tidy(() => work(recorder));
      return recorder.take();
    });
  } catch (error) {
    throw explained(error);
  } finally {
    tf.removeBackend(NAME);
    unregisterKernels(NAME);
    if (before) switchTo(before);
  }
}

/** `setBackend` is asynchronous only while a backend starts, which these do not. */
function switchTo(name: string): void {
  void tf.setBackend(name);
  if (tf.getBackend() !== name) throw new EngineError(`The backend ${name} could not be made active.`);
}

function explained(error: unknown): unknown {
  if (ErtaError.isInstance(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  const [, kernel] = /Kernel '(\w+)' not registered/.exec(message) ?? [];
  if (kernel === undefined) return error;
  return new UnsupportedError(`The model uses the operation ${kernel}, which cannot be exported.`, {
    hint: 'Write it with other operations, or run the model with ertacache itself.',
    cause: error,
  });
}
