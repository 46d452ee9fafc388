import type { EngineKind } from '../../engine/types';
import { usualThreads } from '../../pipelines/usual-threads';
import type { Catalog } from '../catalog';
import type { Piece } from '../jobs/order';

/** How many pieces like this one are best drawn as one batch on a backend. */
export type Together = (piece: Piece, kind: EngineKind | undefined) => number;

/** Pictures of a small model, where `bench/batching.ts` shows that a batch pays. */
const SMALL: Partial<Record<EngineKind, number>> = { native: 4, wasm: 2 };

/**
 * What pays where nobody says otherwise: small models leave much of a processor's time to what is between their
 * operations, which a batch shares; large ones would be drawn no sooner, and need the memory of all.
 */
export async function usualTogether({ models }: Catalog): Promise<Together> {
  const threads = await Promise.all(models.map(({ path }) => usualThreads(path)));
  const small = new Set(models.filter((_, i) => threads[i] === 1).map(({ id }) => id));
  return ({ request: { model, size } }, kind) =>
    kind !== undefined && small.has(model) && size === undefined ? (SMALL[kind] ?? 1) : 1;
}
