import * as tf from '@tensorflow/tfjs-core';
import type { EngineKind } from './types';

/** The kind of backend that tensors run on now; one that ertacache did not choose counts as `cpu`. */
export function activeKind(): EngineKind {
  const name = tf.getBackend();
  if (name === 'webgpu' || name === 'wasm') return name;
  if (name !== 'tensorflow') return 'cpu';
  const backend: object = tf.backend();
  return 'isUsingGpuDevice' in backend && backend.isUsingGpuDevice ? 'gpu' : 'native';
}

/** The same for receipts, which also know WebGL: it gives values of its own. */
export const activeName = (): string => (tf.getBackend() === 'webgl' ? 'webgl' : activeKind());
