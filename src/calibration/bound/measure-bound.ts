import { none } from '../../cache/none';
import type { CachePolicy } from '../../cache/policy';
import type { Signals } from '../../cache/signal';
import { PolicyError, UsageError } from '../../errors';
import { asWritten, type Media } from '../../media/pixels';
import { psnr } from '../../metrics/psnr';
import { mean } from '../../metrics/statistics';
import { perFrame } from '../../metrics/video';
import type { PolicyBound } from '../../policy/bound';
import { computedSteps, type Policy, reusedOf } from '../../policy/data';
import type { Pair } from '../../policy/pair';
import { usePolicy } from '../../policy/use';
import type { Pipeline } from '../../sampling/pipeline';
import { policyUse } from '../../sampling/policy-use';
import { type RunResult, runJob } from '../../sampling/run-job';
import { across } from '../in-turn';
import { pairsRequest } from '../jobs';
import type { MeasureOptions } from '../measure';
import { batches } from '../pairs';
import { fitBound, LEAST_BOUND_PAIRS, type Observation } from './fit-bound';

/** PSNR of the pixels as they are written, of a clip the mean over its frames. */
export const writtenPsnr = (reference: Media, media: Media): number =>
  mean(perFrame(psnr, asWritten(reference), asWritten(media)));

/** Computed steps whose signals are looked at: the first ones after a step was reused, and the last. */
const LOOKED = 3;

/** The steps of a schedule that tell most of how well a run goes on; few, so that looking costs next to nothing. */
export function lookedAt(schedule: string): number[] {
  const first = schedule.indexOf('.');
  const computed = [...schedule].flatMap((step, i) => (step === '#' && i > first && first >= 0 ? [i] : []));
  return [...new Set([...computed.slice(0, LOOKED), ...computed.slice(-LOOKED)])];
}

/** Forward passes of one pair that a bound for so many policies costs. */
export function boundForwards(policies: readonly Policy[]): number {
  const steps = policies[0]?.data.schedule.length ?? 0;
  return policies.reduce((sum, { data }) => sum + computedSteps(reusedOf(data.schedule)), steps);
}

/**
 * Lower bounds on what the pictures of policies keep, all for the same steps and guidance: the uncached pictures are drawn
 * once for all of them.
 * @param pairs prompts and seeds that neither the fit of the policies nor a choice has seen, see `boundPairs`; 9 at least,
 *   64 for a bound of each picture
 * @returns one for each policy, in their order
 * @throws PolicyError when a policy is not for this pipeline, UsageError for fewer pairs or policies of other runs
 */
export async function measureBounds(
  pipeline: Pipeline,
  policies: readonly Policy[],
  pairs: readonly Pair[],
  { batch, signal, onPasses }: MeasureOptions,
): Promise<PolicyBound[]> {
  requireBoundPairs(pairs.length);
  const { sigmas, guidance } = sameRun(policies);
  const groups = await across(pipeline, batches(pairs, batch), async group => {
    const seen: Observation[][] = [];
    const gaps: number[][] = [];
    const request = pairsRequest(group, { steps: sigmas.length - 1, guidance });
    const job = await pipeline.prepare(request, { signal });
    const loop = {
      signal,
      onStep: ({ forwards }: { readonly forwards: number }) => onPasses?.(forwards * group.length),
    };
    try {
      const uncached = await runJob(pipeline, job, none(), loop);
      for (const [p, policy] of policies.entries()) {
        const cache = usePolicy(policy, policyUse(pipeline.info, guidance, job));
        const cached = await runJob(pipeline, job, watched(cache, policy), loop);
        seen[p] = observations(uncached, cached);
        gaps[p] = cached.steps.flatMap(({ gap }) => gap ?? []);
      }
      return { seen, gaps, shape: job.latents.shape.slice(1) };
    } finally {
      job.release();
    }
  });
  return policies.map(({ data }, p) => {
    const own = groups.flatMap(({ gaps }) => gaps[p] as readonly number[]);
    const gap = { step: lastBefore(data.schedule), from: Math.min(...own), to: Math.max(...own) };
    return {
      pairs: pairs.length,
      shape: [...(groups[0]?.shape ?? [])],
      ...(own.length > 0 && { gap }),
      ...(fitBound(groups.flatMap(({ seen }) => seen[p] as readonly Observation[])) as Pick<
        PolicyBound,
        'all' | 'each'
      >),
    };
  });
}

/** @throws UsageError for a number of pairs that no bound of 90 % can come from */
export function requireBoundPairs(pairs: number): void {
  if (pairs >= LEAST_BOUND_PAIRS) return;
  throw new UsageError(`${pairs} pairs give no bound that holds for 90 % of pictures.`, {
    hint: `Take ${LEAST_BOUND_PAIRS} or more; from 64 on, each picture has a bound of its own.`,
  });
}

function sameRun(policies: readonly Policy[]): Policy['data'] {
  const [first, ...others] = policies.map(({ data }) => data);
  if (!first) throw new UsageError('There is no policy to find a bound for.');
  for (const other of others) {
    if (other.guidance === first.guidance && other.sigmas.join() === first.sigmas.join()) continue;
    throw new PolicyError('Bounds of policies for several guidances or noise schedules cannot be found together.', {
      hint: 'Name those of one run, and the others by themselves.',
    });
  }
  return first;
}

/** The last step before one is reused. */
const lastBefore = (schedule: string): number => Math.max(0, schedule.indexOf('.') - 1);

/** The policy with all of its signals read, whatever bound it has. */
function watched(cache: CachePolicy, { data }: Policy): CachePolicy {
  const familiar = { step: lastBefore(data.schedule), from: 0, to: Number.POSITIVE_INFINITY };
  return { ...cache, bound: undefined, familiar, signals: lookedAt(data.schedule) };
}

function observations(uncached: RunResult, { media, steps }: RunResult): Observation[] {
  return media.map((picture, row) => ({
    psnr: writtenPsnr(uncached.media[row] as Media, picture),
    signals: new Map(
      steps.flatMap(({ index, signals }): [number, Signals][] => (signals ? [[index, signals[row] as Signals]] : [])),
    ),
  }));
}
