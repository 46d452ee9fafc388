import type { z } from 'zod';
import { CheckpointError, UnsupportedError } from '../errors';
import { cogVideoXDDIMConfig, createCogVideoXDDIM } from './cogvideox-ddim';
import { cogVideoXDPMConfig, createCogVideoXDPM } from './cogvideox-dpm';
import { cogVideoXGrid } from './cogvideox-schedule';
import { createFlowMatchEuler, flowMatchEulerConfig, flowMatchEulerGrid } from './flow-match-euler';
import type { GridOptions } from './grid';
import type { Inspect } from './inspect';
import { createMiniT2ISolver, miniT2IGrid, miniT2IGridAt, miniT2ISchedulerConfig } from './minit2i';
import { createRFlow, rflowConfig, rflowGrid, rflowGridAt } from './rflow';
import type { Solver, TimeGrid } from './solver';
import { createUniPC, uniPCConfig, uniPCGrid, uniPCGridAt } from './unipc';

/** What ertacache knows of one class of sampler. */
export interface SchedulerClass<Config = unknown> {
  /** Accepts the hub's `scheduler_config.json`. */
  readonly schema: z.ZodType<Config>;
  /** Whether a run may go over any falling noise levels; if not, its times are those of the training. */
  readonly continuous: boolean;
  /**
   * The times of a run.
   * @param config the parsed `scheduler_config.json`
   * @param options steps, and what else the times depend on
   * @returns times and noise levels
   */
  grid(config: Config, options: GridOptions): TimeGrid;
  /**
   * The same over other falling noise levels.
   * @param config the parsed `scheduler_config.json`
   * @param sigmas falling noise levels, length steps + 1
   * @returns times and noise levels
   * @throws UnsupportedError unless `continuous`
   */
  gridAt(config: Config, sigmas: readonly number[]): TimeGrid;
  /**
   * A fresh solver over these times.
   * @param config the parsed `scheduler_config.json`
   * @param grid what `grid` or `gridAt` returned
   * @param inspect sees what every step does
   * @returns a solver for one run; its caller disposes it
   */
  create(config: Config, grid: TimeGrid, inspect?: Inspect): Solver;
}

function define<Config>(scheduler: SchedulerClass<Config>): SchedulerClass {
  return scheduler as unknown as SchedulerClass;
}

function discrete(className: string): never {
  throw new UnsupportedError(`${className} has discrete times, so its noise levels cannot be moved.`, {
    hint: 'Omit the timestep adjustment, or use a flow-matching sampler.',
  });
}

const classes = new Map<string, SchedulerClass>([
  [
    'FlowMatchEulerDiscreteScheduler',
    define({
      schema: flowMatchEulerConfig,
      continuous: true,
      grid: flowMatchEulerGrid,
      gridAt: (c, sigmas) => ({
        timesteps: sigmas.slice(0, -1).map(s => Math.fround(Math.fround(s) * c.num_train_timesteps)),
        sigmas,
      }),
      create: createFlowMatchEuler,
    }),
  ],
  [
    'UniPCMultistepScheduler',
    define({ schema: uniPCConfig, continuous: true, grid: uniPCGrid, gridAt: uniPCGridAt, create: createUniPC }),
  ],
  [
    'CogVideoXDDIMScheduler',
    define({
      schema: cogVideoXDDIMConfig,
      continuous: false,
      grid: cogVideoXGrid,
      gridAt: () => discrete('CogVideoXDDIMScheduler'),
      create: createCogVideoXDDIM,
    }),
  ],
  [
    'CogVideoXDPMScheduler',
    define({
      schema: cogVideoXDPMConfig,
      continuous: false,
      grid: cogVideoXGrid,
      gridAt: () => discrete('CogVideoXDPMScheduler'),
      create: createCogVideoXDPM,
    }),
  ],
  [
    'MiniT2IFlowMatchScheduler',
    define({
      schema: miniT2ISchedulerConfig,
      continuous: true,
      grid: miniT2IGrid,
      gridAt: miniT2IGridAt,
      create: createMiniT2ISolver,
    }),
  ],
  [
    'RFLOW',
    define({ schema: rflowConfig, continuous: true, grid: rflowGrid, gridAt: rflowGridAt, create: createRFlow }),
  ],
]);

/**
 * Names of the sampler classes that can be run.
 * @returns names as the hub gives them
 */
export function schedulerClassNames(): string[] {
  return [...classes.keys()];
}

/**
 * What ertacache knows of a class of sampler.
 * @param className as the hub names it, such as `FlowMatchEulerDiscreteScheduler`
 * @returns its schema, its times and its solver
 * @throws CheckpointError naming a class that ertacache does not know
 */
export function schedulerClass(className: string): SchedulerClass {
  const found = classes.get(className);
  if (!found) {
    throw new CheckpointError('config_class', `The sampler "${className}" is not one that ertacache runs.`, {
      hint: `Known samplers: ${schedulerClassNames().join(', ')}.`,
    });
  }
  return found;
}
