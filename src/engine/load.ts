import { dirname, join, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { EngineError } from '../errors';
import { provideLargePages } from '../io/aligned';
import { allowFused } from '../nn/fused';
import { kernelLevel, useKernels, useThreads } from '../nn/wasm/run';
import { usableFused } from './fused';
import type { Candidate, Location } from './locate';
import { requirePath } from './resolve';
import { startWasm } from './wasm-threads';
import { loadWebGpu } from './webgpu';

interface TensorFlowBackend {
  binding?: { TF_Version?: string };
  isUsingGpuDevice?: boolean;
}
/** What a link's loader hands out; older links know less. */
interface Linked {
  readonly largePages?: (bytes: Uint8Array) => void;
}
type LinkLoader = (core: typeof tf, options: { quiet: boolean }) => Linked;

// A process can hold one TensorFlow: when it is asked for again, this says what brought it, and where it is while
// nobody has yet found out which of its own operations can be used.
let brought: { readonly source: string; readonly untried?: Location } = { source: 'already loaded' };

/** How a backend is loaded. */
export interface BackendLoadOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly verbose: boolean;
  /** How many threads it computes with; its own choice unless given: one for WebAssembly, all for TensorFlow. */
  readonly threads?: number | undefined;
}

function importTensorFlow({ module, link }: Location, { verbose, threads }: BackendLoadOptions): void {
  // Read by TensorFlow when it is loaded. oneDNN is left alone: switching it off costs most of the speed.
  if (!verbose) process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  if (threads !== undefined) {
    for (const name of ['TF_NUM_INTRAOP_THREADS', 'OMP_NUM_THREADS']) process.env[name] = String(threads);
  }
  (requirePath(join(__dirname, 'legacy-util.cjs')) as () => void)();
  const exports = requirePath(module);
  if (!link) return;
  const { largePages } = (exports as LinkLoader)(tf, { quiet: !verbose });
  if (largePages) provideLargePages(largePages);
}

async function loadTensorFlow({ kind, source, locate }: Candidate, options: BackendLoadOptions): Promise<string> {
  const { env } = options;
  if (!tf.findBackendFactory('tensorflow')) {
    const location = locate(env);
    importTensorFlow(location, options);
    brought = { source, untried: location };
  }
  const backend = tf.findBackend('tensorflow') as TensorFlowBackend | null;
  const { source: by, untried } = brought;
  if (kind === 'gpu' && !backend?.isUsingGpuDevice) throw new Error(`TensorFlow (${by}) found no usable GPU`);
  // oneDNN's operations are the processor's.
  if (untried && backend && !backend.isUsingGpuDevice) {
    brought = { source: by };
    allowFused(backend, await usableFused(untried, backend.binding?.TF_Version ?? 'unknown', env));
  }
  return `${kind} (TensorFlow ${backend?.binding?.TF_Version ?? 'of unknown version'}, ${by})`;
}

async function loadWasm(location: Location, threads: number, env: NodeJS.ProcessEnv): Promise<string> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  // The .wasm files lie beside the package's main file; they can no longer be set once the backend runs.
  if (!('wasm' in tf.engine().registry)) setWasmPaths(dirname(location.module) + sep);
  const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
  await startWasm(threads);
  await useKernels(env.ERTACACHE_FUSED === '0' ? undefined : env.ERTACACHE_FUSED === 'plain' ? 'plain' : 'fma');
  await useThreads(threads);
  const vectors = `with${simd ? '' : 'out'} SIMD${kernelLevel() === 'fma' ? ' and FMA' : ''}`;
  return `wasm (WebAssembly ${vectors}, ${threads} thread${threads === 1 ? '' : 's'})`;
}

/**
 * Loads a backend and registers it with tfjs; which one is current is not decided here.
 * @returns what to call it, in one human line
 */
export async function loadBackend(candidate: Candidate, options: BackendLoadOptions): Promise<string> {
  const { env, verbose, threads = 1 } = options;
  // Keeps tfjs from advising on the console to install the backend that ertacache has just looked for.
  if (!verbose) tf.enableProdMode();
  if (candidate.backend === 'tensorflow') return loadTensorFlow(candidate, options);
  const location = candidate.locate(env);
  if (candidate.backend === 'wasm') return loadWasm(location, threads, env);
  if (candidate.backend === 'webgpu') return loadWebGpu(location);
  if (threads > 1) {
    throw new EngineError('Plain JavaScript computes with one thread.', { hint: 'Omit the number of threads.' });
  }
  await import('@tensorflow/tfjs-backend-cpu');
  return 'cpu (plain JavaScript, slow)';
}
