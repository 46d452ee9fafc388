import { none } from '../cache/none';
import { requireObject } from '../io/arguments';
import { asWritten, type Media } from '../media/pixels';
import { psnr } from '../metrics/psnr';
import { quantile } from '../metrics/quantile';
import { ssim } from '../metrics/ssim';
import { mean, standardDeviation } from '../metrics/statistics';
import { perFrame } from '../metrics/video';
import type { Fidelity, Policy } from '../policy/data';
import type { Pair } from '../policy/pair';
import { requirePolicy } from '../policy/require-policy';
import { usePolicy } from '../policy/use';
import { requirePipeline } from '../sampling/lifetime';
import type { BatchRequest, Pipeline } from '../sampling/pipeline';
import { policyUse } from '../sampling/policy-use';
import { type RunResult, runJob } from '../sampling/run-job';
import type { LoopOptions } from '../sampling/sample-loop';
import { across, inTurn } from './in-turn';
import { pairsRequest } from './jobs';
import { batches, requirePairs } from './pairs';

/** Likeness of one cached output to the uncached one of the same prompt and seed. */
export interface Score {
  /** Peak signal-to-noise ratio of the 8-bit pixels in dB; 100 where none differs. */
  readonly psnr: number;
  /** The same of the pixels in floating point, before they are rounded. */
  readonly floatPsnr: number;
  /** Structural similarity of the 8-bit pixels, at most 1. */
  readonly ssim: number;
}

/**
 * Scores of pictures, or of clips frame by frame and then averaged.
 * @param reference the uncached picture or clip
 * @param media the cached one, of the same shape
 * @returns PSNR and SSIM of the pixels as they are written to files, and PSNR of the pixels in floating point
 * @throws ShapeError when the shapes differ, or the pictures are smaller than 11×11 pixels
 */
export function score(reference: Media, media: Media): Score {
  const [shown, other] = [asWritten(reference), asWritten(media)];
  return {
    psnr: mean(perFrame(psnr, shown, other)),
    floatPsnr: mean(perFrame(psnr, reference, media)),
    ssim: mean(perFrame(ssim, shown, other)),
  };
}

/** Mean, spread, quantiles and shares over pairs. */
export function fidelityOf(scores: readonly Score[]): Fidelity {
  const spread = (values: readonly number[]) => {
    const std = values.length > 1 ? standardDeviation(values) : 0;
    return { mean: mean(values), min: Math.min(...values), std };
  };
  const own = scores.map(s => s.psnr);
  const below = (level: number): number => own.filter(psnr => psnr < level).length / own.length;
  return {
    pairs: scores.length,
    psnr: spread(own),
    floatPsnr: spread(scores.map(s => s.floatPsnr)),
    quantiles: { tenth: quantile(own, 0.1), median: quantile(own, 0.5) },
    below40: below(40),
    below30: below(30),
    ssim: spread(scores.map(s => s.ssim)),
  };
}

/** How a policy is measured. */
export interface MeasureOptions {
  /** How many pairs run at a time. */
  readonly batch: number;
  /** When aborted, measuring ends with an InterruptedError. */
  readonly signal?: AbortSignal | undefined;
  /** Forward passes of one row that have just been done. */
  readonly onPasses?: ((count: number) => void) | undefined;
}

/**
 * Compares a policy with the uncached run on `pairs`.
 * @param pipeline the loaded model; it stays the caller's
 * @param policy a calibrated policy; steps and guidance are taken from it
 * @param pairs prompts and seeds, best those that calibration did not see
 * @param options how many pairs run at a time, and a signal to stop
 * @returns mean, worst, spread and quantiles of PSNR (dB, of 8-bit pixels) and SSIM over the pairs
 * @throws PolicyError when the policy is for another model, sampler or schedule than the pipeline's
 * @throws InterruptedError when `signal` is aborted
 */
export async function measurePolicy(
  pipeline: Pipeline,
  policy: Policy,
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<Fidelity> {
  requirePipeline('pipeline', pipeline);
  requirePolicy('policy', policy);
  requirePairs('pairs', pairs);
  requireObject('options', options, 'an object with the number of pairs that run at a time, { batch }');
  return fidelityOf(await scorePolicy(pipeline, policy, pairs, options));
}

/**
 * The likeness of every pair under a policy, in the order of `pairs`.
 * @throws PolicyError when the policy is for another model, sampler or schedule than the pipeline's
 */
export async function scorePolicy(
  pipeline: Pipeline,
  policy: Policy,
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<Score[]> {
  const [scores] = await scorePolicies(pipeline, [policy], pairs, options);
  return scores as Score[];
}

/**
 * The same under several policies of one run, such as the budgets of one: the uncached runs are made once.
 * @param policies at least one
 * @returns the scores of every pair, policy by policy
 */
export async function scorePolicies(
  pipeline: Pipeline,
  policies: readonly Policy[],
  pairs: readonly Pair[],
  options: MeasureOptions,
): Promise<Score[][]> {
  const { sigmas, guidance } = (policies[0] as Policy).data;
  const run = { steps: sigmas.length - 1, guidance };
  const { signal, onPasses } = options;
  const groups = await across(pipeline, batches(pairs, options.batch), async group => {
    const loop: LoopOptions = { signal, onStep: ({ forwards }) => onPasses?.(forwards * group.length) };
    const { uncached, cached } = await runAllBeside(pipeline, pairsRequest(group, run), policies, loop);
    return cached.map(({ media }) => uncached.media.map((plain, i) => score(plain, media[i]!)));
  });
  return policies.map((_, p) => groups.flatMap(group => group[p] as Score[]));
}

/** One request, drawn with every step computed and with a policy. */
export interface BesideRuns {
  readonly uncached: RunResult;
  readonly cached: RunResult;
}

/**
 * Runs a request uncached and with a calibrated policy, from the same noise.
 * @throws PolicyError, before anything is computed, when the policy is not for this run
 */
export async function runBeside(
  pipeline: Pipeline,
  request: BatchRequest,
  policy: Policy,
  loop: LoopOptions = {},
): Promise<BesideRuns> {
  const { uncached, cached } = await runAllBeside(pipeline, request, [policy], loop);
  return { uncached, cached: cached[0] as RunResult };
}

/** The same with several policies. */
async function runAllBeside(
  pipeline: Pipeline,
  request: BatchRequest,
  policies: readonly Policy[],
  loop: LoopOptions,
): Promise<{ readonly uncached: RunResult; readonly cached: readonly RunResult[] }> {
  const job = await pipeline.prepare(request, loop);
  try {
    const use = policyUse(pipeline.info, request.guidance, job);
    const caches = policies.map(policy => usePolicy(policy, use));
    const uncached = await runJob(pipeline, job, none(), loop);
    return { uncached, cached: await inTurn(caches, cache => runJob(pipeline, job, cache, loop)) };
  } finally {
    job.release();
  }
}
