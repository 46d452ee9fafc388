import { MemoryError } from '../errors';
import { nodeBuiltin } from '../io/node-builtin';
import type { EngineKind } from './types';

/** WebAssembly's 32-bit heap ends at 4 GiB with "memory access out of bounds"; this leaves room for fragments. */
export const WASM_LIMIT = 3.5e9;

/** Node's own knowledge of memory; browsers have none. */
const node = globalThis.process as Partial<NodeJS.Process> | undefined;

/** Bytes of memory this process may have in all, a container's limit included; infinite where nobody knows. */
export function totalMemory(): number {
  const machine = nodeBuiltin('os')?.totalmem() ?? Number.POSITIVE_INFINITY;
  // Without a limit, Node reports 0 or a number larger than the machine.
  const limit = node?.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, machine) : machine;
}

/** Bytes of memory that are still available; infinite where nobody knows. */
export function availableMemory(): number {
  return Math.min(node?.availableMemory?.() ?? Number.POSITIVE_INFINITY, totalMemory());
}

/** The largest resident size of this process so far, in bytes; 0 where nobody knows. */
export function peakMemory(): number {
  return (node?.resourceUsage?.().maxRSS ?? 0) * 1024;
}

/** Bytes as people read them: 1.5 GB, 300 MB. */
export function formatBytes(bytes: number): string {
  const [unit, name] = bytes >= 1e9 ? [1e9, 'GB'] : bytes >= 1e6 ? [1e6, 'MB'] : [1e3, 'KB'];
  const value = bytes / unit;
  return `${value >= 100 ? value.toFixed(0) : Number(value.toFixed(1))} ${name}`;
}

/** Memory that some work needs. */
export interface MemoryNeed {
  readonly bytes: number;
  /** How much of it this process holds already. */
  readonly held?: number;
}

/**
 * Refuses work that cannot fit, before it is begun.
 * @param what completes "… needs 5 GB", for example `Sampling at 1024 × 1024`
 * @throws MemoryError with the numbers and what to do
 */
export function assertFits(
  { bytes, held = 0 }: MemoryNeed,
  kind: EngineKind,
  what: string,
  available = availableMemory(),
): void {
  if (kind === 'wasm' && bytes > WASM_LIMIT) {
    throw new MemoryError(`${what} needs ${formatBytes(bytes)}; WebAssembly can hold ${formatBytes(WASM_LIMIT)}.`, {
      hint: 'Use the backend native (--backend native; `ertacache engine link`), a smaller size or batch, or offload (--offload).',
    });
  }
  // A GPU's memory is not the process's: TensorFlow itself says when it is full.
  if (kind !== 'gpu' && kind !== 'webgpu' && bytes - held > available) {
    throw new MemoryError(`${what} needs ${formatBytes(bytes - held)}; ${formatBytes(available)} are available.`, {
      hint: 'Leave the blocks on disk (offload, --offload), close other programs, or use a smaller size, batch or model.',
    });
  }
}
