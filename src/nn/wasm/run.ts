/**
 * Kernels of our own for tfjs's WebAssembly backend, which has no fused ones for transformers. They work on tfjs's tensors
 * where these lie, in its memory, and are registered with it, so that its scopes and counts know their results.
 */
import * as tf from '@tensorflow/tfjs-core';
import { MemoryError } from '../../errors';
import { lane } from '../lane';
import { type Crew, canWait, startCrew } from './crew';
import {
  type CompiledKernels,
  compileKernels,
  isShared,
  type KernelCall,
  type KernelLevel,
  type KernelModule,
} from './module';

/** tfjs's backend as far as it is used here. */
interface WasmBackend {
  readonly wasm: {
    /** The memory of its module: in there, or beside it where threads share it. */
    readonly asm?: { readonly memory?: WebAssembly.Memory };
    readonly wasmMemory?: WebAssembly.Memory;
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
  readonly dataIdMap: { get(id: object): { readonly memoryOffset: number } };
  makeOutput(shape: readonly number[], dtype: 'float32'): tf.TensorInfo;
}

const LEVELS = ['fma', 'plain'] as const;

/** By backend: what layers use there. */
const loaded = new WeakMap<object, CompiledKernels>();
/** By memory: what has been compiled for it, whose code gets faster with use. */
const compiled = new WeakMap<WebAssembly.Memory, Partial<Record<KernelLevel, CompiledKernels>>>();
/** By memory: the threads that compute in it. */
const crews = new WeakMap<WebAssembly.Memory, Crew>();

/** The memory of the active backend; undefined where it is not tfjs's WebAssembly. */
function memoryOf(backend: Partial<WasmBackend>): WebAssembly.Memory | undefined {
  return backend.wasm?.wasmMemory ?? backend.wasm?.asm?.memory;
}
const activeMemory = (): WebAssembly.Memory | undefined => memoryOf(tf.backend() as unknown as Partial<WasmBackend>);

/**
 * Lets layers use the kernels on the active backend, tfjs's WebAssembly.
 * @param level `fma` takes `plain` where the machine does not have it
 * @returns the level that they have; undefined where they cannot run, and layers go on with tfjs's own
 */
export async function loadKernels(level: KernelLevel = 'fma'): Promise<KernelLevel | undefined> {
  for (const each of level === 'fma' ? LEVELS : [level]) {
    const kernels = await compiledFor(each);
    if (!kernels) continue;
    loaded.set(tf.backend(), kernels);
    registerKernels();
    return each;
  }
  return undefined;
}

/** The kernels of a level, compiled for the memory of the active backend; undefined where they cannot run. */
async function compiledFor(level: KernelLevel): Promise<CompiledKernels | undefined> {
  const memory = activeMemory();
  if (!memory) return undefined;
  const known = compiled.get(memory) ?? {};
  const kernels = known[level] ?? (await compileKernels(memory, level));
  compiled.set(memory, { ...compiled.get(memory), ...(kernels && { [level]: kernels }) });
  return kernels;
}

/**
 * Lets the kernels compute with several threads on the active backend, where its memory can be shared and the caller may
 * wait; results are the same. Threads from before end.
 * @returns with how many they compute
 */
export async function useThreads(threads: number): Promise<number> {
  const memory = activeMemory();
  if (!memory) return 1;
  crews.get(memory)?.release();
  crews.delete(memory);
  if (threads < 2 || !isShared(memory) || !canWait()) return 1;
  const levels = (await Promise.all(LEVELS.map(compiledFor))).filter(kernels => kernels !== undefined);
  if (levels.length === 0) return 1;
  crews.set(memory, startCrew(memory, levels, threads));
  return threads;
}

/** How many shares of the kernels' work each thread has computed, the caller first; undefined where there is one only. */
export function sharesOfThreads(): readonly number[] | undefined {
  return crews.get(activeMemory()!)?.taken();
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

/** What a kernel makes, and how. */
export interface Task {
  readonly shape: readonly number[];
  /** Bytes of memory that each thread needs meanwhile. */
  readonly scratch?: number;
  /** Into how many shares the work can be cut. */
  readonly shares: number;
  /** Operations, roughly. */
  readonly cost: number;
  /** Gets the addresses of the inputs by name, and that of the result. */
  readonly call: (at: (name: string) => number, out: number) => KernelCall;
}

/** Work of fewer operations, some tens of microseconds, is done before threads have woken. */
const FEW = 4_000_000;
/** Shares for each thread, so that the last ones to be done are done at about the same time. */
const SHARES = 8;

const KERNEL = 'ErtacacheRun';

/** All of the work at once. */
function callAlone(module: KernelModule, [name, ...given]: KernelCall, scratch: number): void {
  (module[name] as (...all: number[]) => void)(...given, 0, 1, scratch);
}

/** One kernel of tfjs for all of them: it gets the inputs, and in `task` what to do with their addresses. */
function registerKernels(): void {
  if (tf.getKernel(KERNEL, 'wasm')) return;
  tf.registerKernel({
    kernelName: KERNEL,
    backendName: 'wasm',
    kernelFunc({ inputs, attrs, backend: given }) {
      const backend = given as WasmBackend;
      const { shape, scratch = 0, shares, cost, call } = (attrs as unknown as { task: Task }).task;
      const addressOf = (info: tf.TensorInfo): number => backend.dataIdMap.get(info.dataId).memoryOffset;
      const output = backend.makeOutput(shape, 'float32');
      const out = addressOf(output);
      const crew = cost < FEW || shares < 2 ? undefined : crews.get(memoryOf(backend)!);
      const bytes = scratch * (crew?.threads ?? 1);
      const spare = bytes > 0 ? backend.wasm._malloc(bytes) >>> 0 : 0;
      if (out === 0 || (bytes > 0 && spare === 0)) throw new MemoryError('The memory of WebAssembly is full.');
      const at = (name: string): number => {
        const info = (inputs as Record<string, tf.TensorInfo | undefined>)[name];
        return info ? addressOf(info) : 0;
      };
      const { level, module } = loaded.get(backend)!;
      try {
        const work = call(at, out);
        if (crew) crew.run(level, work, Math.min(shares, SHARES * crew.threads), spare, scratch);
        else callAlone(module, work, spare);
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
