import { uniformReuse } from '../../cache/uniform';
import type { Job } from '../../sampling/pipeline';
import type { Reference } from '../reference';
import { type CostShape, pairwiseDistances, reuseCost, shortestSchedule } from './shortest-path';

/** How schedules of any budget are made. */
export type Way = (computed: number) => readonly boolean[];

/** Weights over time: below 0 the early steps count for more, which decide what will be seen. */
const TILTS = [-0.375, -0.25, -0.125, 0, 0.25, 0.5];
/** What shortest paths are tried with. */
const SHAPES: readonly CostShape[] = [1, 2].flatMap(power => TILTS.map(tilt => ({ tilt, power })));
/** Evenly spread schedules that are tried too, by the steps that are computed at the end: no search is worse than these. */
const UNIFORM_LAST = [0, 2] as const;

/** Indices of the ways that are shortest paths. */
export const PATHS: readonly number[] = SHAPES.map((_, way) => way);
/** Indices of the ways that are even schedules. */
export const EVENS: readonly number[] = UNIFORM_LAST.map((_, u) => SHAPES.length + u);
export const WAYS: readonly number[] = [...PATHS, ...EVENS];

/** Shortest paths over the distances between the steps of these runs, and even schedules; see `WAYS`. */
export async function waysOf(references: readonly Reference[]): Promise<Way[]> {
  const distances = await pairwiseDistances(references);
  const { sigmas, takeover } = (references[0] as Reference).job;
  const steps = sigmas.length - 1;
  // A model that takes over has nothing to reuse yet.
  const crosses = (from: number, to: number): boolean => takeover !== undefined && from < takeover && takeover < to;
  return [
    ...SHAPES.map((shape): Way => {
      const cost = reuseCost(distances, sigmas, shape);
      return computed =>
        shortestSchedule(steps, computed, (from, to) =>
          crosses(from, to) ? Number.POSITIVE_INFINITY : cost(from, to),
        );
    }),
    ...UNIFORM_LAST.map(
      (last): Way =>
        computed =>
          computedAt(takeover, uniformReuse(steps, computed, { last: Math.min(last, computed - 1) })),
    ),
  ];
}

/** Whether the sampler of a job can say which output leads to a latent: where it does not look back. */
export function canAim(job: Job): boolean {
  const solver = job.solver();
  const aims = solver.aim !== undefined;
  solver.dispose();
  return aims;
}

/** A schedule of as many computed steps, one of which is this one: the nearest to it is given up for it. */
function computedAt(step: number | undefined, reused: readonly boolean[]): readonly boolean[] {
  if (step === undefined || !reused[step]) return reused;
  const others = reused.flatMap((r, i) => (r || i === 0 ? [] : [i]));
  if (others.length === 0) return reused;
  const nearest = others.reduce((a, b) => (Math.abs(b - step) < Math.abs(a - step) ? b : a));
  return reused.map((r, i) => (i === step ? false : i === nearest ? true : r));
}
