import { roundHalfToEven as even } from '../../nn/rounding';

/** A grid of patches. */
export interface PatchCount {
  readonly rows: number;
  readonly columns: number;
}

/**
 * The largest region of the trained grid that has the proportions of `grid`, centred. Halves round to even, as the
 * reference rounds.
 */
export function cropRegion(grid: PatchCount, trained: PatchCount): PatchCount & { top: number; left: number } {
  const tall = grid.rows / grid.columns > trained.rows / trained.columns;
  const rows = tall ? trained.rows : even((trained.columns / grid.columns) * grid.rows);
  const columns = tall ? even((trained.rows / grid.rows) * grid.columns) : trained.columns;
  return { rows, columns, top: even((trained.rows - rows) / 2), left: even((trained.columns - columns) / 2) };
}

/** `count` float32 positions from `start` to `stop · (count - 1) / count`. */
export function spread(start: number, stop: number, count: number): number[] {
  if (count === 1) return [start];
  const last = (stop * (count - 1)) / count;
  return Array.from({ length: count }, (_, i) => Math.fround(start + ((last - start) * i) / (count - 1)));
}
