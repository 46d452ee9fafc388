import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type { Location } from './locate';
import { requirePath } from './resolve';

/** What WebGPU runs on. */
interface Adapter {
  readonly name: string;
  /** Whether the processor plays the GPU. */
  readonly software: boolean;
}

/** Loads tfjs's WebGPU backend into Node. */
export async function loadWebGpu({ module, dawn }: Location): Promise<string> {
  const provide = requirePath(join(__dirname, 'webgpu-in-node.cjs')) as (binary: string) => Promise<Adapter>;
  const { name, software } = await provide(dawn as string);
  requirePath(module);
  if (!tf.findBackendFactory('webgpu')) {
    throw new Error('@tensorflow/tfjs-backend-webgpu belongs to another copy of @tensorflow/tfjs-core');
  }
  return `webgpu (${name}${software ? ', in software' : ''})`;
}
