import { UsageError } from '../errors';
import type { Pair } from '../policy/pair';
import type { BatchRequest, Job, Pipeline } from '../sampling/pipeline';
import { batches } from './pairs';

/** What runs of several pairs have in common. */
export interface PairsRun {
  readonly steps: number;
  readonly guidance: number;
}

/** What a pipeline is asked for to run some pairs at once. */
export function pairsRequest(pairs: readonly Pair[], { steps, guidance }: PairsRun): BatchRequest {
  const negative = pairs[0]?.negative;
  if (pairs.some(p => p.negative !== negative)) {
    throw new UsageError('Pairs of several negative prompts cannot run at once.', { hint: 'Cut them by `batches`.' });
  }
  const request = { prompts: pairs.map(p => p.prompt), seeds: pairs.map(p => p.seed), steps, guidance };
  return negative === undefined ? request : { ...request, negativePrompt: negative };
}

/** Jobs of all pairs, `batch` of them in each; the caller releases them. Where one fails, the others are released. */
export async function prepareJobs(
  pipeline: Pipeline,
  pairs: readonly Pair[],
  run: PairsRun & { readonly batch: number },
): Promise<Job[]> {
  const jobs: Job[] = [];
  try {
    for (const group of batches(pairs, run.batch)) jobs.push(await pipeline.prepare(pairsRequest(group, run)));
    return jobs;
  } catch (error) {
    for (const job of jobs) job.release();
    throw error;
  }
}

/** Runs the pairs with `work`, one job after the other, so that only one is in memory. */
export async function inBatches(
  pipeline: Pipeline,
  pairs: readonly Pair[],
  run: PairsRun & { readonly batch: number },
  work: (job: Job) => Promise<void>,
): Promise<void> {
  for (const group of batches(pairs, run.batch)) {
    const job = await pipeline.prepare(pairsRequest(group, run));
    try {
      await work(job);
    } finally {
      job.release();
    }
  }
}

/**
 * Refuses, before anything is computed, what moves noise levels where the sampler's are discrete.
 * @throws UnsupportedError
 */
export function requireMovable({ sigmas, solver }: Pick<Job, 'sigmas' | 'solver'>): void {
  const [first = 0] = sigmas;
  solver(sigmas.map((sigma, i) => (i === 1 ? (first + sigma) / 2 : sigma))).dispose();
}
