import type { ParameterTable } from '../weights/parameters';
import type { Workload } from './workload';

/** Floating-point operations, a multiplication and its addition counted as two. */
export interface Flops {
  /** All products of one forward pass. What grows with tokens × channels only (norms, gates) is not counted. */
  readonly forward: number;
  /** The part that all blocks have in it, attention included. */
  readonly blocks: number;
  /** Queries × keys and scores × values. */
  readonly attention: number;
}

/** Operations of one forward pass, counted from shapes: every weight matrix by its rows, and attention. */
export function countFlops(table: ParameterTable, work: Workload, blocks: readonly string[]): Flops {
  const isInBlock = (name: string): boolean => blocks.some(block => name.startsWith(`${block}.`));
  let [outside, inside] = [0, 0];
  for (const { name, shape, layout } of table) {
    if (layout === 'plain') continue;
    const flops = 2 * work.rows(name) * shape.reduce((a, b) => a * b, 1);
    if (isInBlock(name)) inside += flops;
    else outside += flops;
  }
  const attention = blocks.reduce((sum, block) => sum + attentionFlops(work, block), 0);
  return { forward: outside + inside + attention, blocks: inside + attention, attention };
}

/** Operations of the attention of one block. */
export function attentionFlops(work: Workload, block: string): number {
  return work
    .attention(block)
    .reduce((sum, { count, queries, keys, width }) => sum + 4 * count * queries * keys * width, 0);
}
