import type { CachePolicy } from '../../cache/policy';
import type { Budget } from '../../cache/registry';
import { type CalibrateOptions, calibrate, calibrationForwards } from '../../calibration/calibrate';
import type { SearchMethod } from '../../calibration/search/search';
import type { Policy } from '../../policy/data';
import { type Bench, benchRequest } from './bench';
import type { Passes, Prepared } from './contender';

/** What distinguishes one calibrated method from another. */
export interface Recipe extends Pick<CalibrateOptions, 'site' | 'taylor' | 'timestep' | 'rectify' | 'granularity'> {
  /** How the schedule is searched, or the schedule itself. */
  readonly search?: SearchMethod | readonly boolean[] | undefined;
}

function requestOf(name: string, recipe: Recipe, { computed }: Budget, bench: Bench): CalibrateOptions {
  const { search, ...rest } = recipe;
  const schedule =
    typeof search === 'object' ? { reused: search } : { computed, trials: bench.trials, ...(search && { search }) };
  // A recipe names every part that it adds; `calibrate` alone would correct.
  return { ...benchRequest(bench), ...rest, rectify: rest.rectify ?? 'off', name, schedule };
}

/** Forward passes that calibrating by a recipe costs at most. */
export function recipeCost(recipe: Recipe, budget: Budget, bench: Bench): Passes {
  return { batched: calibrationForwards(requestOf('', recipe, budget, bench)), single: 0 };
}

/** The policy of that name for a budget: the bench's, or else calibrated by the recipe. */
export function recipePolicy(name: string, recipe: Recipe, budget: Budget, bench: Bench): Promise<Policy> {
  let seen = 0;
  const onProgress = (done: number): void => {
    bench.onPasses(done - seen);
    seen = done;
  };
  return bench.policy(name, budget.computed, () =>
    calibrate(bench.pipeline, { ...requestOf(name, recipe, budget, bench), onProgress }),
  );
}

/** What a contender with a calibrated policy is ready with. */
export function preparedWith({ data }: Policy, policy: CachePolicy): Prepared {
  const { method, lambda } = data.search;
  const threshold = lambda === undefined ? '' : `, λ ${Number(lambda.toPrecision(3))}`;
  return { policy, setting: `schedule: ${method}${threshold}`, passes: data.calibration.forwards };
}
