import type { Predictor } from '../cache/predictor';
import type { Site } from '../cache/sites';
import { PolicyError } from '../errors';
import type { Reference } from './reference';
import { mean, rehearse, releaseLook, rowDistances } from './rehearsal';

export interface WalkOptions {
  readonly site: Site;
  readonly predictor: Predictor;
  readonly signal?: AbortSignal;
  readonly onStep?: () => void | Promise<void>;
}

/** A schedule and the errors it was decided on. */
export interface Schedule {
  readonly reused: readonly boolean[];
  /** Mean relative error that reuse had, or would have had, at each step; `Infinity` at the first. */
  readonly errors: readonly number[];
  /** The threshold that gave it. */
  readonly lambda: number;
}

export const computedSteps = (reused: readonly boolean[]): number => reused.filter(r => !r).length;

/**
 * The paper's offline policy (method section 3): walk the steps with caching on; where the residual at hand differs
 * from the one the model really has by less than λ, relative to the uncached run's, the step is reused.
 */
export async function walk(references: readonly Reference[], lambda: number, options: WalkOptions): Promise<Schedule> {
  const runs = references.map(r => rehearse(r.job, options));
  const reused: boolean[] = [];
  const errors: number[] = [];
  try {
    for (let i = 0; i < (runs[0]?.sigmas.length as number) - 1; i++) {
      const looks = await inTurn(runs, run => run.look(i, 'both'));
      const relative = await inTurn(looks, async (look, r) => {
        if (!look.guess) return [Number.POSITIVE_INFINITY];
        const distances = (
          await inTurn(look.guess.residuals, (p, b) => rowDistances(p, look.truth!.residuals[b]!))
        ).flat();
        return distances.map((d, row) => d / (references[r]!.residualNorms[i]![row] as number));
      });
      const error = mean(relative.flat());
      const reuse = error < lambda;
      errors.push(error);
      reused.push(reuse);
      for (const [r, run] of runs.entries()) {
        const look = looks[r]!;
        if (reuse) run.advance(i, look.guess!.output);
        else run.advance(i, look.truth!.output, look.truth);
        releaseLook(look);
      }
      await options.onStep?.();
    }
    return { reused, errors, lambda };
  } finally {
    for (const run of runs) run.dispose();
  }
}

/** λ lies between these on every model seen so far. */
const LAMBDA_RANGE = [1e-3, 4] as const;
const MAX_WALKS = 12;

/** How many walks `walkToBudget` may take; for estimates. */
export const walksAtMost = MAX_WALKS;

/**
 * The walk whose λ leaves exactly `computed` steps to compute. Where no λ gives that number, the nearest walk below
 * it is filled up with the reused steps whose error was largest.
 */
export async function walkToBudget(
  references: readonly Reference[],
  computed: number,
  options: WalkOptions,
): Promise<Schedule> {
  let [low, high] = LAMBDA_RANGE as readonly [number, number];
  let below: Schedule | undefined;
  for (let n = 0; n < MAX_WALKS; n++) {
    const lambda = Math.sqrt(low * high);
    const found = await walk(references, lambda, options);
    const count = computedSteps(found.reused);
    if (count === computed) return found;
    if (count > computed) low = lambda;
    else {
      high = lambda;
      if (!below || count > computedSteps(below.reused)) below = found;
    }
  }
  if (!below) {
    throw new PolicyError(`No threshold leaves ${computed} computed steps on this model.`, {
      hint: 'Ask for fewer reused steps.',
    });
  }
  return filledUp(below, computed);
}

function filledUp(schedule: Schedule, computed: number): Schedule {
  const reused = [...schedule.reused];
  const worstFirst = reused.flatMap((r, i) => (r ? [i] : [])).sort((a, b) => schedule.errors[b]! - schedule.errors[a]!);
  for (const i of worstFirst.slice(0, computed - computedSteps(reused))) reused[i] = false;
  return { ...schedule, reused };
}

/** One after the other: jobs share one backend, and their memory should not pile up. */
export async function inTurn<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const [i, item] of items.entries()) results.push(await work(item, i));
  return results;
}
