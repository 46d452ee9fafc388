import type * as tf from '@tensorflow/tfjs-core';
import { none } from '../cache/none';
import type { Variant } from '../cache/variants';
import { UsageError } from '../errors';
import type { Job } from '../sampling/pipeline';
import { type LoopOptions, type StepRecord, sampleLoop } from '../sampling/sample-loop';
import { rowErrors } from './follow';
import { across } from './in-turn';
import { qualityOf } from './quality';

/** A calibration run, and where it ends with every step computed. */
export interface Target {
  /** The run. */
  readonly job: Job;
  /** Its final latent, uncached; the target's owner disposes it. */
  readonly final: tf.Tensor;
}

/** Runs every job uncached. The caller disposes the latents. */
export async function uncachedTargets(jobs: readonly Job[], options: LoopOptions = {}): Promise<Target[]> {
  const uncached = async (job: Job): Promise<Target> => {
    const { latents } = await sampleLoop({ ...job, solver: job.solver() }, none(), options);
    return { job, final: latents };
  };
  return across(jobs[0], jobs, uncached, ({ final }) => final.dispose());
}

/** Of many settings, so large a part is tried on all runs; all are on the first rows. */
const PART = 4;
const LEAST = 4;
/** So many rows at least say which settings are worth trying on all. */
const FIRST_ROWS = 8;

/** How many runs of one row a choice costs at most, for estimates. */
export function runsAtMost(variants: number, rows: number, batch: number): number {
  if (variants < 2) return 0;
  const kept = Math.min(variants, Math.max(LEAST, Math.ceil(variants / PART)));
  const first = Math.min(rows, batch * Math.ceil(FIRST_ROWS / batch));
  return variants * first + kept * (rows - first);
}

/** How many of the runs have the first rows. */
function firstRuns(targets: readonly Target[]): number {
  let rows = 0;
  const enough = targets.findIndex(({ final }) => {
    rows += final.shape[0] as number;
    return rows >= FIRST_ROWS;
  });
  return enough < 0 ? targets.length : enough + 1;
}

export interface ChooseOptions extends LoopOptions {
  /** Weight of the worst eighth of the pairs; see `qualityOf`. */
  readonly worstWeight?: number | undefined;
  /** dB beyond which nothing counts; see `ceilingAt`. */
  readonly ceiling?: number | undefined;
}

/** The setting that was chosen, and the forward passes that it cost, over all rows. */
export interface Choice {
  readonly variant: Variant;
  readonly spent: number;
}

/**
 * The setting whose runs end nearest to the uncached ones, by the measure that ERTACache's own schedules are chosen by.
 * All are tried on the first rows, and the best quarter of them on the others.
 */
export async function chooseVariant(
  variants: readonly Variant[],
  targets: readonly Target[],
  options: ChooseOptions = {},
): Promise<Choice> {
  const [only] = variants;
  if (!only || targets.length === 0) throw new UsageError('There is nothing to choose from.');
  if (variants.length === 1) return { variant: only, spent: 0 };
  let spent = 0;
  const onStep = (step: StepRecord, sample: tf.Tensor): void | Promise<void> => {
    spent += step.forwards * (sample.shape[0] as number);
    return options.onStep?.(step, sample);
  };
  const loop: LoopOptions = { ...(options.signal && { signal: options.signal }), onStep };
  const errorsOf = async ({ policy }: Variant, some: readonly Target[]): Promise<number[]> =>
    (await across(some[0]?.job, some, target => finalErrors(target, policy, loop))).flat();
  const quality = (errors: readonly number[]): number => qualityOf(errors, options.worstWeight, options.ceiling);
  const where = targets[0]?.job;
  const first = firstRuns(targets);
  const tried = await across(where, variants, async variant => ({
    variant,
    errors: await errorsOf(variant, targets.slice(0, first)),
  }));
  tried.sort((a, b) => quality(b.errors) - quality(a.errors));
  const kept = tried.slice(0, Math.max(LEAST, Math.ceil(variants.length / PART)));
  const judged = await across(where, kept, async ({ variant, errors }) => ({
    variant,
    quality: quality([...errors, ...(await errorsOf(variant, targets.slice(first)))]),
  }));
  const best = judged.reduce((a, b) => (b.quality > a.quality ? b : a));
  return { variant: best.variant, spent };
}

async function finalErrors({ job, final }: Target, policy: Variant['policy'], loop: LoopOptions): Promise<number[]> {
  const sigmas = policy.adjust?.(job.sigmas) ?? job.sigmas;
  const { latents } = await sampleLoop({ ...job, solver: job.solver(sigmas) }, policy, loop);
  try {
    return await rowErrors(latents, final);
  } finally {
    latents.dispose();
  }
}
