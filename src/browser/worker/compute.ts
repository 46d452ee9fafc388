import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { EngineError } from '../../errors';
import { kernelLevel, useKernels, useThreads } from '../../nn/wasm/run';
import { detect } from '../detect';
import type { BackendInfo, ComputeOptions } from '../types';
import { heedGpu } from './faults';

/** The backends of a GPU. */
export type GpuKind = 'webgl' | 'webgpu';

/** Threads that tfjs's module can start. */
const MOST_THREADS = 8;
/** The steps of smaller models are too short for threads to pay. */
const LARGE = 50e6;

/** As bundlers understand it: each file is found, and told where it lies. */
const WASM = {
  'tfjs-backend-wasm.wasm': new URL('./tfjs-backend-wasm.wasm', import.meta.url).href,
  'tfjs-backend-wasm-simd.wasm': new URL('./tfjs-backend-wasm-simd.wasm', import.meta.url).href,
  'tfjs-backend-wasm-threaded-simd.wasm': new URL('./tfjs-backend-wasm-threaded-simd.wasm', import.meta.url).href,
};

/** Scripts that register the backends of a GPU; few pages need them, so that they are loaded when they are wanted. */
const GPU = {
  webgl: new URL('./webgl.mjs', import.meta.url).href,
  webgpu: new URL('./webgpu.mjs', import.meta.url).href,
};

let wasm: BackendInfo | undefined;

/** How many threads of WebAssembly a model of so many bytes takes. */
export function threadsFor({ threads }: ComputeOptions, modelBytes: number): number {
  const usual = modelBytes < LARGE ? 1 : navigator.hardwareConcurrency;
  return globalThis.crossOriginIsolated ? Math.max(1, Math.min(MOST_THREADS, threads ?? usual)) : 1;
}

/**
 * Makes WebAssembly the active backend; started once, so that its threads stay those of the first model.
 * @param modelBytes size of the model that it is started for
 */
export async function startWasm(compute: ComputeOptions, modelBytes: number): Promise<BackendInfo> {
  const { wasmPaths, kernels } = compute;
  const count = threadsFor(compute, modelBytes);
  if (!wasm) {
    setWasmPaths(wasmPaths === undefined ? WASM : wasmPaths.replace(/\/?$/, '/'));
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', count > 1);
    if (count > 1) setThreadsCount(count);
  }
  if (!(await tf.setBackend('wasm').catch(() => false))) {
    throw new EngineError('WebAssembly could not be started.', {
      hint: "Serve the .wasm files beside the worker's script, or say where they lie (wasmPaths).",
    });
  }
  if (!wasm) {
    await useKernels(kernels ?? 'fma');
    await useThreads(count);
    const simd = (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? 'SIMD' : 'no SIMD';
    const fused = kernelLevel() === 'fma' ? ' and FMA' : '';
    const label = `wasm (${simd}${fused}, ${count === 1 ? '1 thread' : `${count} threads`})`;
    wasm = { kind: 'wasm', label, threads: count };
  }
  return wasm;
}

const heeded = new Set<GpuKind>();

/**
 * Makes a GPU the active backend.
 * @throws EngineError when it cannot
 */
export async function startGpu(kind: GpuKind): Promise<BackendInfo> {
  const found = (await detect())[kind];
  const missing = new EngineError(`There is no ${kind === 'webgl' ? 'WebGL' : 'WebGPU'} that can be computed with.`);
  if (!found) throw missing;
  // It brings its own copy of what registers it, which would warn of the other.
  tf.env().set('PROD', true);
  await import(/* @vite-ignore */ /* webpackIgnore: true */ GPU[kind]);
  if (!(await tf.setBackend(kind).catch(() => false))) throw missing;
  if (!heeded.has(kind)) heedGpu();
  heeded.add(kind);
  const name = found.name === '' ? '' : ` (${found.name})`;
  return { kind, label: `${kind}${name}`, threads: 1 };
}

/** The GPU that may pay: one that is no processor in disguise, by WebGPU where there is that. */
export async function promisingGpu(): Promise<GpuKind | undefined> {
  const found = await detect();
  return (['webgpu', 'webgl'] as const).find(kind => found[kind]?.software === false);
}
