import { ConfigError } from '../../errors';
import { parseConfig } from '../../models/registry';
import type { GridOptions } from '../../schedulers/grid';
import { schedulerClass } from '../../schedulers/registry';
import type { Solver } from '../../schedulers/solver';

/** The times of one run, and solvers over them. */
export interface Schedule {
  readonly timesteps: readonly number[];
  readonly sigmas: readonly number[];
  /**
   * A fresh solver, over the schedule's own noise levels or over others.
   * @throws UnsupportedError for other levels where the sampler's times are discrete
   */
  solver(sigmas?: readonly number[]): Solver;
}

/** The sampler that a `scheduler_config.json` describes. */
export interface HubScheduler {
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
  schedule(options: GridOptions): Schedule;
}

/** @throws CheckpointError for a sampler that ertacache does not know, ConfigError for one it cannot run */
export function hubScheduler(json: unknown, where: string): HubScheduler {
  const className = typeof json === 'object' && json !== null && '_class_name' in json ? json._class_name : undefined;
  if (typeof className !== 'string') {
    throw new ConfigError(`${where} names no sampler (_class_name).`, { hint: "Take it from the model's repository." });
  }
  const known = schedulerClass(className);
  const config = parseConfig(known.schema, json, where) as Readonly<Record<string, unknown>>;
  return {
    className,
    config,
    schedule(options) {
      const grid = known.grid(config, options);
      const same = (sigmas: readonly number[]): boolean =>
        sigmas.length === grid.sigmas.length && sigmas.every((s, i) => s === grid.sigmas[i]);
      return {
        ...grid,
        // Times made from noise levels may differ from the schedule's own in the last bit.
        solver: (sigmas = grid.sigmas) => known.create(config, same(sigmas) ? grid : known.gridAt(config, sigmas)),
      };
    },
  };
}
