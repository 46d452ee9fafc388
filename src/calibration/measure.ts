import { ertacache } from '../cache/ertacache';
import { none } from '../cache/none';
import type { CachePolicy } from '../cache/policy';
import { frames, type Media } from '../media/pixels';
import { psnr } from '../metrics/psnr';
import { ssim } from '../metrics/ssim';
import { type Fidelity, type Pair, type Policy, policySettings } from '../policy/data';
import type { Job, Pipeline } from '../sampling/pipeline';
import { type RunResult, runJob } from '../sampling/run-job';
import { batches } from './pairs';
import { mean } from './rehearsal';

/** Likeness of one cached output to the uncached one of the same prompt and seed. */
export interface Score {
  readonly psnr: number;
  readonly ssim: number;
}

/** Scores of pictures, or of clips frame by frame and then averaged. */
export function score(reference: Media, media: Media): Score {
  const [a, b] = [frames(reference), frames(media)];
  return {
    psnr: mean(a.map((frame, i) => psnr(frame, b[i]!))),
    ssim: mean(a.map((frame, i) => ssim(frame, b[i]!))),
  };
}

/** Mean, worst and spread over pairs. */
export function fidelityOf(scores: readonly Score[]): Fidelity {
  const spread = (values: readonly number[]) => {
    const centre = mean(values);
    const variance = values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / Math.max(1, values.length - 1);
    return { mean: centre, min: Math.min(...values), std: Math.sqrt(variance) };
  };
  return { pairs: scores.length, psnr: spread(scores.map(s => s.psnr)), ssim: spread(scores.map(s => s.ssim)) };
}

/** Runs the pairs in batches with `work`, which gets a ready job and its pairs. */
export async function inBatches<T>(
  pipeline: Pipeline,
  pairs: readonly Pair[],
  run: { readonly steps: number; readonly guidance: number; readonly batch: number },
  work: (job: Job, from: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  let from = 0;
  for (const group of batches(pairs, run.batch)) {
    const job = await pipeline.prepare({
      prompts: group.map(p => p.prompt),
      seeds: group.map(p => p.seed),
      steps: run.steps,
      guidance: run.guidance,
    });
    try {
      results.push(await work(job, from));
    } finally {
      job.release();
    }
    from += group.length;
  }
  return results;
}

/** How a policy is measured. */
export interface MeasureOptions {
  /** How many pairs run at a time. */
  readonly batch: number;
  readonly signal?: AbortSignal;
}

/** Compares a policy with the uncached run on `pairs`. */
export async function measurePolicy(
  pipeline: Pipeline,
  policy: Policy,
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<Fidelity> {
  return fidelityOf(await scorePolicy(pipeline, policy, pairs, options));
}

/** The likeness of every pair under a policy, in the order of `pairs`. */
export async function scorePolicy(
  pipeline: Pipeline,
  policy: Policy,
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<Score[]> {
  const { sigmas, guidance } = policy.data;
  const run = { steps: sigmas.length - 1, guidance, batch: options.batch };
  const cached: CachePolicy = ertacache(policySettings(policy));
  const scores = await inBatches(pipeline, pairs, run, async job => {
    const loop = options.signal ? { signal: options.signal } : {};
    const reference = await runJob(pipeline, job, none(), loop);
    return scoreAll(reference, await runJob(pipeline, job, cached, loop));
  });
  return scores.flat();
}

/** Row by row. */
export function scoreAll(reference: RunResult, result: RunResult): Score[] {
  return reference.media.map((media, i) => score(media, result.media[i]!));
}
