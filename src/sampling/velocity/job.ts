import type { Tensor } from '@tensorflow/tfjs-core';
import type { Job } from '../pipeline';
import type { Scheduler } from './scheduler';
import { branchesOf, type VelocitySource } from './velocity';

/** What one run of a function begins with. */
export interface VelocityRun<Ctx> {
  /** Starting noise `[B, …]`; stays the caller's. */
  readonly latents: Tensor;
  readonly ctx?: Ctx | undefined;
  /** The last axis unless given. */
  readonly channelAxis?: number | undefined;
}

/** A job of somebody's own function. It holds nothing: its latents stay the caller's. */
export function velocityJob<Ctx>(
  velocity: VelocitySource<Ctx>,
  scheduler: Scheduler,
  { latents, ctx, channelAxis }: VelocityRun<Ctx>,
): Job {
  return {
    ...branchesOf(velocity, () => ctx as Ctx),
    latents,
    sigmas: scheduler.sigmas,
    solver: sigmas => scheduler.solver(sigmas),
    channelAxis: channelAxis ?? latents.rank - 1,
    release() {},
  };
}
