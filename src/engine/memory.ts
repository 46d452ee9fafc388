import { totalmem } from 'node:os';
import { MemoryError } from '../errors';
import type { EngineKind } from './types';

/** WebAssembly's 32-bit heap ends at 4 GiB with "memory access out of bounds"; this leaves room for fragments. */
export const WASM_LIMIT = 3.5e9;

/** Bytes of memory this process may have in all, a container's limit included. */
export function totalMemory(): number {
  // Without a limit, Node reports 0 or a number larger than the machine.
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** Bytes of memory that are still available. */
export function availableMemory(): number {
  return Math.min(process.availableMemory(), totalMemory());
}

/** The largest resident size of this process so far, in bytes. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS * 1024;
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
      hint: 'Use --backend native (`ertacache engine link`), a smaller size or batch, or --offload.',
    });
  }
  // A GPU's memory is not the process's: TensorFlow itself says when it is full.
  if (kind !== 'gpu' && kind !== 'webgpu' && bytes - held > available) {
    throw new MemoryError(`${what} needs ${formatBytes(bytes - held)}; ${formatBytes(available)} are available.`, {
      hint: 'Leave the blocks on disk with --offload, close other programs, or use a smaller size, batch or model.',
    });
  }
}
