/**
 * Kernels of our own for tfjs's WebAssembly backend, which has no fused ones for transformers. They work on tfjs's tensors
 * where these lie, in its memory, and are registered with it, so that its scopes and counts know their results.
 */
import * as tf from '@tensorflow/tfjs-core';
import { MemoryError } from '../../errors';
import { lane } from '../lane';
import { instantiateKernels, type KernelLevel, type KernelModule } from './module';

/** tfjs's backend as far as it is used here. */
interface WasmBackend {
  readonly wasm: {
    readonly asm?: { readonly memory?: { readonly buffer: ArrayBufferLike } };
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
  readonly dataIdMap: { get(id: object): { readonly memoryOffset: number } };
  makeOutput(shape: readonly number[], dtype: 'float32'): tf.TensorInfo;
}

interface Loaded {
  readonly level: KernelLevel;
  readonly module: KernelModule;
}

/** By backend: what layers use there. */
const loaded = new WeakMap<object, Loaded>();
/** By memory: what has been compiled for it, whose code gets faster with use. */
const compiled = new WeakMap<object, Partial<Record<KernelLevel, KernelModule>>>();

/**
 * Lets layers use the kernels on the active backend, tfjs's WebAssembly.
 * @param level `fma` takes `plain` where the machine does not have it
 * @returns the level that they have; undefined where they cannot run, and layers go on with tfjs's own
 */
export async function loadKernels(level: KernelLevel = 'fma'): Promise<KernelLevel | undefined> {
  for (const each of level === 'fma' ? (['fma', 'plain'] as const) : [level]) {
    const module = await compiledFor(each);
    if (!module) continue;
    loaded.set(tf.backend(), { level: each, module });
    registerKernels();
    return each;
  }
  return undefined;
}

/** The kernels of a level, compiled for the memory of the active backend; undefined where they cannot run. */
async function compiledFor(level: KernelLevel): Promise<KernelModule | undefined> {
  const { wasm } = tf.backend() as unknown as Partial<WasmBackend>;
  const memory = wasm?.asm?.memory;
  if (!memory || isShared(memory.buffer)) return undefined;
  const known = compiled.get(memory) ?? {};
  const module = known[level] ?? (await instantiateKernels(memory, level));
  compiled.set(memory, { ...known, ...(module && { [level]: module }) });
  return module;
}

/** Whether threads share it. By its name, since the classes of another realm are not ours. */
function isShared(buffer: ArrayBufferLike): boolean {
  return Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]';
}

/** Whether the kernels of a level, or none where it is undefined, can run on the active backend. */
export async function hasLevel(level: KernelLevel | undefined): Promise<boolean> {
  return level === undefined || (await compiledFor(level)) !== undefined;
}

/** The kernels of a level from now on, or those of tfjs alone. */
export async function useKernels(level: KernelLevel | undefined): Promise<void> {
  loaded.delete(tf.backend());
  if (level) await loadKernels(level);
}

/** `work` with the kernels of a level; those from before come back. */
export async function withKernels<T>(level: KernelLevel | undefined, work: () => Promise<T>): Promise<T> {
  const before = kernelLevel();
  await useKernels(level);
  try {
    return await work();
  } finally {
    await useKernels(before);
  }
}

/** The level of the kernels that layers use now; undefined where they use none. */
export function kernelLevel(): KernelLevel | undefined {
  return lane() === 'wasm' ? loaded.get(tf.backend())?.level : undefined;
}

/** Whether layers may call the functions of this file. */
export function hasKernels(): boolean {
  return kernelLevel() !== undefined;
}

/** Gets the module, the addresses of the inputs by name, that of the result, and that of scratch memory. */
type Work = (kernels: KernelModule, at: (name: string) => number, out: number, scratch: number) => void;
/** What a kernel makes, and how. */
export interface Task {
  readonly shape: readonly number[];
  /** Bytes of memory that it needs meanwhile. */
  readonly scratch?: number;
  readonly work: Work;
}

const KERNEL = 'ErtacacheRun';

/** One kernel of tfjs for all of them: it gets the inputs, and in `task` what to do with their addresses. */
function registerKernels(): void {
  if (tf.getKernel(KERNEL, 'wasm')) return;
  tf.registerKernel({
    kernelName: KERNEL,
    backendName: 'wasm',
    kernelFunc({ inputs, attrs, backend: given }) {
      const backend = given as WasmBackend;
      const { shape, scratch = 0, work } = (attrs as unknown as { task: Task }).task;
      const addressOf = (info: tf.TensorInfo): number => backend.dataIdMap.get(info.dataId).memoryOffset;
      const output = backend.makeOutput(shape, 'float32');
      const out = addressOf(output);
      const spare = scratch > 0 ? backend.wasm._malloc(scratch) >>> 0 : 0;
      if (out === 0 || (scratch > 0 && spare === 0)) throw new MemoryError('The memory of WebAssembly is full.');
      const at = (name: string): number => {
        const info = (inputs as Record<string, tf.TensorInfo | undefined>)[name];
        return info ? addressOf(info) : 0;
      };
      try {
        work(loaded.get(backend)!.module, at, out, spare);
      } finally {
        if (spare) backend.wasm._free(spare);
      }
      return output;
    },
  });
}

/** Runs a kernel on tensors; absent ones have the address 0. */
export function runKernel(inputs: Record<string, tf.Tensor | undefined>, task: Task): tf.Tensor {
  const given = Object.fromEntries(Object.entries(inputs).filter(([, tensor]) => tensor)) as tf.NamedTensorMap;
  return tf.engine().runKernel(KERNEL, given, { task } as unknown as tf.NamedAttrMap) as tf.Tensor;
}

/** The module that the active backend has. */
export function activeKernels(): KernelModule {
  return loaded.get(tf.backend())!.module;
}
