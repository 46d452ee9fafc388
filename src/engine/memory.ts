import { MemoryError } from '../errors';
import { nodeBuiltin } from '../io/node-builtin';
import { availableOf } from './available-memory';
import type { EngineKind } from './types';

/** WebAssembly's 32-bit heap ends at 4 GiB with "memory access out of bounds"; this leaves room for fragments. */
export const WASM_LIMIT = 3.5e9;

/** Node's own knowledge of memory; browsers have none. */
const node = globalThis.process as Partial<NodeJS.Process> | undefined;

/** Bytes of memory this process may have in all, a container's limit included; infinite where nobody knows. */
export function totalMemory(): number {
  return Math.min(machineMemory(), limitOfContainer());
}

const machineMemory = (): number => nodeBuiltin('os')?.totalmem() ?? Number.POSITIVE_INFINITY;

/** Infinite without a limit, for which Node reports 0 or a number larger than the machine. */
const limitOfContainer = (): number => node?.constrainedMemory?.() || Number.POSITIVE_INFINITY;

/** Bytes of memory that work can have; infinite where nobody knows. On macOS the total: what is in use is not known. */
export function availableMemory(): number {
  return availableOf({
    platform: node?.platform,
    total: totalMemory(),
    reported: node?.availableMemory?.(),
    isLimited: limitOfContainer() <= machineMemory(),
    read: path => {
      try {
        return nodeBuiltin('fs')?.readFileSync(path, 'utf8');
      } catch {
        return undefined;
      }
    },
  });
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
