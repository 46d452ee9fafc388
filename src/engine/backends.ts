import { existsSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { findLink, listLinks, staleness } from './link/record';
import { isSupportedNode, SUPPORTED_NODE } from './node-support';
import { requirePath, resolvePackage } from './resolve';
import type { BackendName, EngineKind } from './types';

/** Where a backend's code is. */
export interface Location {
  backend: BackendName;
  /** Absolute path of the module that brings it. */
  module: string;
  /** True when that module is the loader of a linked binding, which has to be called. */
  link?: boolean;
}

/** One way to get a backend. Both functions throw an error whose message is the reason why it cannot be had. */
export interface Candidate {
  kind: EngineKind;
  /** Finds it without loading anything. */
  locate(env: NodeJS.ProcessEnv): Location;
  /** Loads it and registers it with tfjs; returns what to call it in one human line. */
  load(location: Location, options: { verbose: boolean }): Promise<string>;
}

interface TensorFlowBackend {
  binding?: { TF_Version?: string };
  isUsingGpuDevice?: boolean;
}
type LinkLoader = (core: typeof tf, options: { quiet: boolean }) => unknown;

function resolveOrThrow(name: string): string {
  const path = resolvePackage(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  return path;
}

function assertNode(): void {
  if (!isSupportedNode()) throw new Error(`tfjs-node works on Node ${SUPPORTED_NODE} only`);
}

/** Whether a driver has made a GPU visible; tells it without loading the hundreds of megabytes of TensorFlow. */
export function hasNvidiaDevice(): boolean {
  return process.platform !== 'linux' || existsSync('/dev/nvidia0') || existsSync('/dev/dxg');
}

// A process can hold one TensorFlow: it is asked for again under the name that brought it.
let broughtBy = 'already loaded';

/** Loads TensorFlow, unless the process has one, and says what it is. */
function loadTensorFlow(kind: 'gpu' | 'native', by: string, location: Location, verbose: boolean): string {
  if (!tf.findBackendFactory('tensorflow')) {
    // Read by TensorFlow when it is loaded. oneDNN is left alone: switching it off costs most of the speed.
    if (!verbose) process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
    process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
    const exports = requirePath(location.module);
    if (location.link) (exports as LinkLoader)(tf, { quiet: !verbose });
    broughtBy = by;
  }
  const backend = tf.findBackend('tensorflow') as TensorFlowBackend | null;
  if (kind === 'gpu' && !backend?.isUsingGpuDevice)
    throw new Error(`TensorFlow (${broughtBy}) finds no GPU it can use`);
  return `${kind} (TensorFlow ${backend?.binding?.TF_Version ?? 'of unknown version'}, ${broughtBy})`;
}

function fromPackage(kind: 'gpu' | 'native', name: string): Candidate {
  return {
    kind,
    locate() {
      if (tf.findBackendFactory('tensorflow')) return { backend: 'tensorflow', module: '' };
      const module = resolveOrThrow(name);
      assertNode();
      if (kind === 'gpu' && !hasNvidiaDevice()) throw new Error('there is no NVIDIA GPU');
      return { backend: 'tensorflow', module };
    },
    load: async (location, { verbose }) => loadTensorFlow(kind, name, location, verbose),
  };
}

function fromLink(kind: 'gpu' | 'native'): Candidate {
  return {
    kind,
    locate(env) {
      if (tf.findBackendFactory('tensorflow')) return { backend: 'tensorflow', module: '' };
      const link = findLink(env);
      const [old] = link ? [] : listLinks(env);
      if (!link) throw new Error(old ? `${staleness(old)}, link it again` : 'no TensorFlow is linked');
      assertNode();
      if (kind === 'gpu' && !hasNvidiaDevice()) throw new Error('there is no NVIDIA GPU');
      return { backend: 'tensorflow', module: join(link.folder, 'load.cjs'), link: true };
    },
    load: async (location, { verbose }) => loadTensorFlow(kind, 'linked', location, verbose),
  };
}

const wasm: Candidate = {
  kind: 'wasm',
  locate: () => ({ backend: 'wasm', module: resolveOrThrow('@tensorflow/tfjs-backend-wasm') }),
  async load({ module }) {
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    // The .wasm files lie beside the package's main file. Their paths cannot be changed once it runs.
    if (!tf.engine().registry.wasm) setWasmPaths(dirname(module) + sep);
    const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
    return `wasm (WebAssembly ${simd ? 'with' : 'without'} SIMD, 1 thread)`;
  },
};

const cpu: Candidate = {
  kind: 'cpu',
  locate: () => ({ backend: 'cpu', module: resolveOrThrow('@tensorflow/tfjs-backend-cpu') }),
  async load() {
    await import('@tensorflow/tfjs-backend-cpu');
    return 'cpu (plain JavaScript, slow)';
  },
};

/** Every way to get a backend, the best first. */
export const candidates: readonly Candidate[] = [
  fromPackage('gpu', '@tensorflow/tfjs-node-gpu'),
  fromPackage('native', '@tensorflow/tfjs-node'),
  fromLink('gpu'),
  fromLink('native'),
  wasm,
  cpu,
];
