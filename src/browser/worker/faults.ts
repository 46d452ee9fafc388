import * as tf from '@tensorflow/tfjs-core';
import { heedFaults } from '../../engine/gpu-faults';
import { EngineError, ErtaError } from '../../errors';

/** As much of a backend on a GPU as is watched. */
interface GpuBackend {
  /** WebGPU. */
  readonly device?: { readonly lost: Promise<unknown> };
  /** WebGL. */
  readonly gpgpu?: { readonly gl: { readonly canvas: EventTarget } };
  read(dataId: object): Promise<unknown>;
}

/**
 * Makes reads of the active backend fail when the GPU has reported a fault or was lost. Of itself TensorFlow.js would
 * hand over what happens to be in memory, or wait for ever.
 */
export function heedGpu(): void {
  const backend = tf.backend() as unknown as GpuBackend;
  heedFaults(backend as object);
  const lost = whenLost(backend).then(() => {
    throw new EngineError('The GPU was lost.');
  });
  // It may be lost while nothing is read.
  lost.catch(() => {});
  const read = backend.read.bind(backend);
  backend.read = dataId => Promise.race([read(dataId), lost]);
}

function whenLost({ device, gpgpu }: GpuBackend): Promise<unknown> {
  if (device) return device.lost;
  return new Promise(resolve => gpgpu?.gl.canvas.addEventListener('webglcontextlost', resolve, { once: true }));
}

/** Errors that are not the GPU's: of what was asked for, of files, and interruptions. */
const OTHERS: readonly string[] = [
  'usage',
  'policy',
  'interrupted',
  'io',
  'checkpoint',
  'config',
  'shape',
  'unsupported',
];

/** Whether an error, thrown while a GPU computed, may be the GPU's. */
export function isGpuFault(error: unknown): boolean {
  return !ErtaError.isInstance(error) || !OTHERS.includes(error.code);
}

/** An error in one line. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
