/**
 * The sampler of MiniT2I (`MiniT2IFlowMatchScheduler`): Euler steps over an even grid.
 *
 * Its reference counts time up from noise to picture; here noise levels fall from 1 to 0, `σ = 1 - t`, and are the
 * times that the model is given.
 */
import { z } from 'zod';
import { count, MOST } from '../io/counts';
import { knowing } from '../io/known-fields';
import { eulerSteps } from './euler';
import { type GridOptions, requireSteps, shifted } from './grid';
import type { Solver, TimeGrid } from './solver';

export const miniT2ISchedulerConfig = knowing(
  z.object({
    _class_name: z.literal('MiniT2IFlowMatchScheduler'),
    /** Steps of a run where none are asked for. */
    num_inference_steps: count(MOST.steps).default(100),
  }),
  { idle: ['train_t_schedule', 't_lognorm_mu', 't_lognorm_sigma'] },
);

export type MiniT2ISchedulerConfig = z.infer<typeof miniT2ISchedulerConfig>;

/** `σ_i = 1 - i / N`. The published sampler has no shift; one that is asked for moves these. */
export function miniT2IGrid(_: MiniT2ISchedulerConfig, options: GridOptions): TimeGrid {
  requireSteps(options);
  const { steps, shift } = options;
  const even = options.sigmas ? [...options.sigmas, 0] : Array.from({ length: steps + 1 }, (_, i) => 1 - i / steps);
  return miniT2IGridAt(_, shift === undefined ? even : even.map(sigma => shifted(sigma, shift)));
}

/** The grid over other falling noise levels. */
export function miniT2IGridAt(_: MiniT2ISchedulerConfig, sigmas: readonly number[]): TimeGrid {
  return { timesteps: sigmas.slice(0, -1).map(Math.fround), sigmas };
}

/** Euler steps on any falling grid. */
export function createMiniT2ISolver(_: MiniT2ISchedulerConfig, grid: TimeGrid): Solver {
  return eulerSteps(grid);
}
