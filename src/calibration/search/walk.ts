import type { Predictor } from '../../cache/predictor';
import type { Site } from '../../cache/sites';
import { PolicyError } from '../../errors';
import { mean } from '../../metrics/statistics';
import { computedSteps } from '../../policy/data';
import { inTurn } from '../in-turn';
import type { Reference } from '../reference';
import { type Look, lookAll, rehearse, releaseLook, rowDistances } from '../rehearsal';

export interface WalkOptions {
  readonly site: Site;
  readonly predictor: Predictor;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: (() => void | Promise<void>) | undefined;
}

/** A schedule and the errors it was decided on. */
export interface Schedule {
  readonly reused: readonly boolean[];
  /** Mean relative error that reuse had, or would have had, at each step; `Infinity` at the first. */
  readonly errors: readonly number[];
  /** The threshold that gave it. */
  readonly lambda: number;
}

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
      const looks = await lookAll(runs, i, 'both');
      try {
        const relative = await inTurn(looks, async (look, r) => relativeErrors(look, references[r]!.residualNorms[i]!));
        const error = mean(relative.flat());
        const reuse = error < lambda;
        errors.push(error);
        reused.push(reuse);
        for (const [r, run] of runs.entries()) {
          const { truth, guess } = looks[r]!;
          if (reuse) run.advance(i, guess!, 'reuse');
          else run.advance(i, truth!, 'compute');
        }
      } finally {
        looks.forEach(releaseLook);
      }
      await options.onStep?.();
    }
    return { reused, errors, lambda };
  } finally {
    for (const run of runs) run.dispose();
  }
}

/** How far the residuals at hand are from the true ones, relative to the uncached run's; one value a row. */
async function relativeErrors({ truth, guess }: Look, norms: readonly number[]): Promise<number[]> {
  if (!guess) return [Number.POSITIVE_INFINITY];
  const distances = (await inTurn(guess.residuals, (p, b) => rowDistances(p, truth!.residuals[b]!))).flat();
  // Blocks that add nothing have no residual; reusing nothing is then exact.
  return distances.map((d, row) => (d === 0 ? 0 : d / (norms[row] as number)));
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
