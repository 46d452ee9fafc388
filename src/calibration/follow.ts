import * as tf from '@tensorflow/tfjs-core';
import type { Corrector } from '../cache/corrector';
import type { Predictor } from '../cache/predictor';
import type { Site } from '../cache/sites';
import { UnsupportedError } from '../errors';
import { across, inTurn } from './in-turn';
import type { Reference } from './reference';
import { type Look, lookAll, type Rehearsal, rehearse, releaseLook, rowNorms, type Want } from './rehearsal';

export interface FollowOptions {
  readonly site: Site;
  readonly predictor: Predictor;
  /** Noise levels to follow; the base schedule unless given. */
  readonly sigmas?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every step that cost a forward pass, with the rows that took it. */
  readonly onStep?: ((rows?: number) => void | Promise<void>) | undefined;
}

/** What is fitted on the way along a schedule. */
export interface Fitting<F> {
  /** What it wants to see of reused steps. */
  readonly want: Want;
  /** What corrects the outputs of a run, by its number. */
  corrections(run: number): Corrector;
  /** Called at every step before it is corrected and taken: what it fits corrects this very step. */
  atStep(step: FittedStep, runs: readonly Rehearsal[], looks: readonly Look[]): Promise<void>;
  /** The same so far, for a schedule that goes another way from here on. */
  fork(): F;
}

/** The step that is fitted. */
export interface FittedStep {
  readonly index: number;
  readonly reused: boolean;
}

/** What came of a schedule. */
export interface Followed<F> {
  readonly fitting: F;
  /** Mean squared error of every row's final latent against the uncached run. */
  readonly errors: readonly number[];
}

/** Runs that have come to the same state, and what was fitted until there. */
interface Node<F> {
  readonly runs: readonly Rehearsal[];
  readonly fitting: F;
}

/**
 * Follows schedules on all calibration jobs in step, each corrected as a sampling run would be, so that later steps are
 * fitted on states that earlier corrections produced. Schedules that begin alike share their beginning: it is run once.
 * What waits while others are followed are at most as many states as the logarithm to base 2 of the number of schedules.
 * @param begin a fitting to begin with
 * @returns what came of every schedule, in their order
 */
export async function followAll<F extends Fitting<F>>(
  references: readonly Reference[],
  schedules: readonly (readonly boolean[])[],
  begin: () => F,
  options: FollowOptions,
): Promise<Followed<F>[]> {
  const found: Followed<F>[] = [];
  const where = references[0]?.job;
  const nodeOf = (fitting: F): Node<F> => ({
    fitting,
    runs: references.map(({ job }, r) => rehearse(job, options, fitting.corrections(r))),
  });
  const released = async (node: Node<F>, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } finally {
      for (const run of node.runs) run.dispose();
    }
  };

  /** Follows those of `group`, which have one beginning, from step `index` on. */
  async function from(index: number, node: Node<F>, group: readonly number[]): Promise<void> {
    for (let i = index; i < (schedules[group[0] as number] as readonly boolean[]).length; i++) {
      const isReused = (s: number): boolean => schedules[s]?.[i] === true;
      const [reusing, computing] = [group.filter(isReused), group.filter(s => !isReused(s))];
      if (reusing.length > 0 && computing.length > 0) {
        // The smaller part first, so that little waits.
        const [few, many] = reusing.length < computing.length ? [reusing, computing] : [computing, reusing];
        const twin = nodeOf(node.fitting.fork());
        return released(twin, async () => {
          for (const [r, run] of twin.runs.entries()) run.restore((node.runs[r] as Rehearsal).state());
          const ways: readonly [Node<F>, readonly number[]][] = [
            [twin, few],
            [node, many],
          ];
          await across(where, ways, ([at, some]) => from(i, at, some));
        });
      }
      await takeStep({ index: i, reused: reusing.length > 0 }, node, options);
    }
    const errors = await inTurn(node.runs, (run, r) =>
      rowErrors(run.sample(), references[r]?.samples.at(-1) as tf.Tensor),
    );
    for (const s of group) found[s] = { fitting: node.fitting, errors: errors.flat() };
  }

  const start = (group: readonly number[]): Promise<void> => {
    const node = nodeOf(begin());
    return released(node, () => from(0, node, group));
  };
  const all = schedules.map((_, s) => s);
  if (canFork(references, options)) await start(all);
  else await across(where, all, s => start([s]));
  return found;
}

/** Whether runs of these jobs can be gone on with in two ways. */
function canFork([reference]: readonly Reference[], options: FollowOptions): boolean {
  const run = rehearse((reference as Reference).job, options);
  try {
    run.state();
    return true;
  } catch (error) {
    if (error instanceof UnsupportedError) return false;
    throw error;
  } finally {
    run.dispose();
  }
}

async function takeStep<F extends Fitting<F>>(
  step: FittedStep,
  { runs, fitting }: Node<F>,
  { onStep }: FollowOptions,
): Promise<void> {
  const looks = await lookAll(runs, step.index, step.reused ? fitting.want : 'truth');
  try {
    await fitting.atStep(step, runs, looks);
    for (const [r, run] of runs.entries()) {
      const { truth, guess } = looks[r] as Look;
      if (step.reused) run.advance(step.index, guess!, 'reuse');
      else run.advance(step.index, truth!, 'compute');
    }
  } finally {
    looks.forEach(releaseLook);
  }
  // Forward passes are what is counted, and a step that was only guessed cost none.
  if (looks[0]?.truth) await onStep?.(runs.reduce((sum, { job }) => sum + (job.latents.shape[0] as number), 0));
}

/** Mean squared error of every row of `a` against `b`. */
export async function rowErrors(a: tf.Tensor, b: tf.Tensor): Promise<number[]> {
  const squares = tf.tidy(() => tf.squaredDifference(a, b));
  const norms = await rowNorms(squares);
  squares.dispose();
  return norms.map(n => n / (a.size / (a.shape[0] as number)));
}
