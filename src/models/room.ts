import { activeKind } from '../engine/active-kind';
import { assertFits, type MemoryNeed } from '../engine/memory';
import { type Computed, isNarrow } from '../weights/computed';
import { type ParameterTable, parameterCount } from '../weights/parameters';

/** How a transformer's weights are held while it runs. */
export interface Holding extends Computed {
  /** One block in memory at a time, the others on disk. */
  readonly offload?: boolean | undefined;
  /** Bytes of the blocks where they are kept in memory as they are stored, and one at a time is widened. */
  readonly packed?: number | undefined;
}

/** Bytes of memory that the weights of a transformer take while it runs. */
export function weightBytes(table: ParameterTable, holding: Holding): number {
  const bytesOf = (part: ParameterTable): number =>
    4 * parameterCount(part) - 2 * parameterCount(part.filter(parameter => isNarrow(parameter, holding)));
  if (!holding.offload && holding.packed === undefined) return bytesOf(table);
  const { blocks = [] } = holding;
  const inBlocks = blocks.map(block => table.filter(({ name }) => name.startsWith(`${block}.`)));
  const outside = parameterCount(table) - inBlocks.reduce((sum, part) => sum + parameterCount(part), 0);
  // One block as it is computed with; beside it all as they are stored, or two that are read (two bytes a value).
  const held = holding.offload ? 0 : (holding.packed ?? 0);
  const read = holding.offload ? 4 : 0;
  return held + 4 * outside + Math.max(0, ...inBlocks.map(part => bytesOf(part) + read * parameterCount(part)));
}

/** Tokens × channels that exist at one time inside a block, counted in tensors of that size. */
const LIVE_TENSORS = 12;
/** Tiles of attention scores that exist at one time: scores, their exponentials, their shares. */
const SCORE_BYTES = 3 * 4 * 32 * 1024 * 1024;

/** Estimate of the bytes that a forward pass needs beside the weights: `rows` sequences of `tokens`, text included. */
export function activationBytes(tokens: number, width: number, rows = 1): number {
  return 4 * LIVE_TENSORS * rows * tokens * width + Math.min(SCORE_BYTES, 12 * tokens * tokens);
}

/**
 * Refuses what the active backend has no memory for, before anything is loaded.
 * @param what begins the sentence, for example `flux-dev at 1024x1024`
 * @throws MemoryError
 */
export function requireMemory(need: MemoryNeed, what: string): void {
  assertFits(need, activeKind(), what);
}
