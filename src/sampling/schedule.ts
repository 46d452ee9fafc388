import { ConfigError, UnsupportedError } from '../errors';
import { parseConfig } from '../io/parse-config';
import type { GridOptions } from '../schedulers/grid';
import { schedulerClass } from '../schedulers/registry';
import type { Solver } from '../schedulers/solver';
import type { Job, RunLevels } from './pipeline';

/** The times of one run, and solvers over them. */
export interface Schedule {
  readonly timesteps: readonly number[];
  readonly sigmas: readonly number[];
  /** The whole schedule, of which these are the last. */
  readonly base: NonNullable<Job['base']>;
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
  /** @param skipped steps at the beginning that are not taken, where a run begins with a picture */
  schedule(options: GridOptions, skipped?: number): Schedule;
}

/** @throws CheckpointError for a sampler that ertacache does not know, ConfigError for one it cannot run */
export function hubScheduler(json: unknown, where: string): HubScheduler {
  const className = typeof json === 'object' && json !== null && '_class_name' in json ? json._class_name : undefined;
  if (typeof className !== 'string') {
    throw new ConfigError(`${where} names no sampler (_class_name).`, { hint: "Take it from the model's repository." });
  }
  const known = schedulerClass(className);
  const config = parseConfig(known.schema, json, where) as Readonly<Record<string, unknown>>;
  if (config.stochastic_sampling === true) throw unsupported(where, 'stochastic_sampling', 'noise at every step is');
  return {
    className,
    config,
    schedule(options, skipped = 0) {
      if (options.shift !== undefined && !known.continuous) {
        throw new UnsupportedError(`${className} has discrete times, which no shift moves.`, {
          hint: 'Omit --shift (shift): it is for flow-matching models.',
        });
      }
      const whole = known.grid(config, options);
      const grid = {
        ...whole,
        timesteps: whole.timesteps.slice(skipped),
        sigmas: whole.sigmas.slice(skipped),
      };
      const same = (sigmas: readonly number[]): boolean =>
        sigmas.length === grid.sigmas.length && sigmas.every((s, i) => s === grid.sigmas[i]);
      return {
        ...grid,
        base: { sigmas: whole.sigmas, skipped },
        // Times made from noise levels may differ from the schedule's own in the last bit.
        solver: (sigmas = grid.sigmas) => known.create(config, same(sigmas) ? grid : known.gridAt(config, sigmas)),
      };
    },
  };
}

/** @throws ConfigError for a sampler that shifts by the size of the picture, in a pipeline that does not tell it */
export function requireFixedShift({ config }: HubScheduler, where = 'scheduler_config.json'): void {
  if (config.use_dynamic_shifting === true) throw unsupported(where, 'use_dynamic_shifting', 'a shift by size is');
}

function unsupported(where: string, field: string, what: string): ConfigError {
  return new ConfigError(`${where}: ${field}: ${what} not supported with this model.`, {
    hint: 'Take another sampler, or the scheduler_config.json of the repository of the model.',
  });
}

/** A schedule's noise levels, as a job tells them: with the whole schedule where a run begins with a picture. */
export function levelsOf({ sigmas, base }: Schedule, beginsWithPicture = false): RunLevels {
  return beginsWithPicture ? { sigmas, base } : { sigmas };
}
