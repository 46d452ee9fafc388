import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { heedFaults } from '../../engine/gpu-faults';
import { EngineError } from '../../errors';
import type { BackendInfo, ComputeOptions } from '../types';

/** Threads that tfjs's module can start. */
const MOST_THREADS = 8;

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

/** Starts TensorFlow.js on WebAssembly. */
export async function startWasm({ threads, wasmPaths }: ComputeOptions): Promise<BackendInfo> {
  setWasmPaths(wasmPaths === undefined ? WASM : wasmPaths.replace(/\/?$/, '/'));
  const count = globalThis.crossOriginIsolated ? Math.max(1, Math.min(MOST_THREADS, threads ?? 1)) : 1;
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', count > 1);
  if (count > 1) setThreadsCount(count);
  if (!(await tf.setBackend('wasm').catch(() => false))) {
    throw new EngineError('WebAssembly could not be started.', {
      hint: "Serve the .wasm files beside the worker's script, or say where they lie (wasmPaths).",
    });
  }
  const simd = (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? 'SIMD' : 'no SIMD';
  const label = `wasm (${simd}, ${count === 1 ? '1 thread' : `${count} threads`})`;
  return { kind: 'wasm', label, threads: count };
}

/**
 * Starts TensorFlow.js on a GPU.
 * @throws EngineError when it cannot
 */
export async function startGpu(kind: 'webgl' | 'webgpu'): Promise<BackendInfo> {
  // It brings its own copy of what registers it, which would warn of the other.
  tf.env().set('PROD', true);
  await import(/* @vite-ignore */ /* webpackIgnore: true */ GPU[kind]);
  if (!(await tf.setBackend(kind).catch(() => false))) {
    throw new EngineError(`This browser has no ${kind === 'webgl' ? 'WebGL' : 'WebGPU'} that TensorFlow.js can use.`);
  }
  heedFaults(tf.backend());
  return { kind, label: kind, threads: 1 };
}
